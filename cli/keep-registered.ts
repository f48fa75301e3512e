import type { InstanceInfo } from '../src/admin/registry-view.ts';
import type { Caller } from './client.ts';
import { CliError } from './failure.ts';

/** Between tries of a call that failed, ms: doubled from first to most. */
const retryMs = { first: 250, most: 5_000 };
/** The longest that leaving takes, ms: whoever waits for it wants to end. */
const leavingMs = 3_000;

/** What a server answers that no other try will change. */
const final = new Set([
  ...['OO_BAD_REQUEST', 'OO_BAD_JSON', 'OO_TAKEN', 'OO_NOT_FOUND', 'OO_METHOD_REFUSED'],
  ...['OO_NO_TOKEN', 'OO_BAD_TOKEN', 'OO_FORBIDDEN', 'OO_CROSS_ORIGIN'],
]);

export interface KeepOptions {
  readonly call: Caller;
  /** What is sent, each time. @see Registration */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Between two heartbeats, ms. */
  readonly beatMs: number;
  /** Told of what a person should know, one line without its end. */
  readonly say: (line: string) => void;
}

export interface Kept {
  /** Rejects where the first registration is refused; then all is over. Never resolves. */
  readonly refused: Promise<never>;
  /** Ends the heartbeat and deregisters. Never rejects; takes no longer than `leavingMs`. */
  leave(): Promise<void>;
}

/**
 * Registers an instance and sends its heartbeat until it is told to leave. A server that can't be reached is tried again; a refusal ends it only
 * before the first success: a service that runs is not to be ended by a token that was removed.
 */
export function keepRegistered({ call, fields, beatMs, say }: KeepOptions): Kept {
  let id = '';
  let failures = 0;
  let isLeaving = false;
  let wake = () => {};
  let refuse = (_: unknown) => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  refused.catch(() => {});

  async function beat(): Promise<void> {
    const { instance, isNew } = (await call('PUT', '/v1/instances', fields)) as {
      instance: InstanceInfo;
      isNew: boolean;
    };
    const name = `${instance.url} of ${instance.slug}`;
    if (id === '')
      say(`registered ${name} as ${instance.id}, with a heartbeat every ${Math.round(beatMs / 100) / 10}s`);
    else if (isNew) say(`registered ${name} anew: the server knew nothing of it any more`);
    else if (failures > 0) say(`the server answers again, and knows ${name}`);
    id = instance.id;
    failures = 0;
  }

  async function run(): Promise<void> {
    while (!isLeaving) {
      let pauseMs = beatMs * (0.9 + Math.random() / 10);
      try {
        await beat();
      } catch (error) {
        if (id === '' && isFinal(error)) return refuse(error);
        failures += 1;
        if (failures === 1) say(`${(error as Error).message} Trying again until it works.`);
        pauseMs = Math.min(retryMs.first * 2 ** Math.min(failures - 1, 10), retryMs.most, beatMs);
      }
      if (!isLeaving) await pause(pauseMs);
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  const running = run();

  async function deregister(): Promise<void> {
    // A heartbeat under way would bring it back.
    await running;
    if (id === '') return;
    await call('DELETE', '/v1/instances', { ids: [id] });
    say(`deregistered ${id}`);
  }

  return {
    refused,
    async leave() {
      isLeaving = true;
      wake();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${leavingMs / 1_000} s.`)), leavingMs);
      });
      await Promise.race([deregister(), late]).catch((error) => {
        say(`it could not be deregistered, and expires by itself: ${(error as Error).message}`);
      });
      clearTimeout(timer);
    },
  };
}

/** A refusal, a flag that can't be, an answer that is none of oo's: not a server that is away or has troubles. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof CliError)) return true;
  const { code, cause, exitCode } = error;
  if (code !== undefined) return final.has(code);
  const system = (cause as NodeJS.ErrnoException | undefined)?.code;
  return exitCode === 2 || cause instanceof SyntaxError || system === 'EACCES' || system === 'EPERM';
}
