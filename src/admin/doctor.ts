import type { CertificateAdmin, CheckLine } from './certs.ts';
import type { Live, LiveInstance, ReadLive } from './status.ts';

const dayMs = 86_400_000;
/** A certificate that is not renewed by now has something in its way, ms before its end. */
const lateMs = 7 * dayMs;
/** A database that takes longer than this to answer makes every change slow, ms. */
const slowMs = 500;
/** Less than this part of a disk, and of this many bytes, is too little to go on for long. */
const leastPart = 0.05;
const leastBytes = 512 * 1024 ** 2;
/** More names than this are not looked up: it would take minutes. */
const maxHosts = 10;
/** Of several of a kind, how many have a line of their own. */
const maxLines = 10;

/** What the doctor looks at. Each left out: there is no such thing here. */
export interface DoctorOptions {
  readonly live: ReadLive;
  /** How many workers there are to be. */
  readonly workers: number;
  readonly certificates?: CertificateAdmin;
  /** Hosts that have routes and can have certificates, wildcards left out. */
  readonly hosts: () => readonly string[];
  /** Asks the database something. */
  readonly database: () => Promise<void>;
  readonly databaseName: string;
  /** Of the state directory, bytes. */
  readonly disk: () => Promise<{ readonly free: number; readonly total: number }>;
  /** Epoch ms. */
  readonly now: () => number;
}

/** Examines a running server: a line for each thing, ok or with how to mend it. */
export type Examine = () => Promise<readonly CheckLine[]>;

/** What a server can find out about itself. What only its machine knows, the command `oo doctor` adds. */
export function createDoctor(options: DoctorOptions): Examine {
  return async () => {
    const parts = [database(options), disk(options), upstreams(options), certificates(options), names(options)];
    return (await Promise.all(parts)).flat();
  };
}

async function database({ database: ask, databaseName, now }: DoctorOptions): Promise<CheckLine[]> {
  const begun = now();
  try {
    await ask();
  } catch (error) {
    const { message, hint = '' } = error as Error & { hint?: string };
    return [bad('database', message, `${hint} Traffic goes on meanwhile; changes do not.`.trim())];
  }
  const ms = now() - begun;
  if (ms <= slowMs) return [ok('database', `${databaseName} answers in ${ms} ms`)];
  return [bad('database', `${databaseName} took ${ms} ms to answer`, 'Look at its load, and at the way to it.')];
}

async function disk({ disk: read }: DoctorOptions): Promise<CheckLine[]> {
  try {
    const { free, total } = await read();
    const said = `${size(free)} of ${size(total)} are free`;
    if (free >= leastBytes || free >= total * leastPart) return [ok('disk', said)];
    return [bad('disk', said, 'Make room: where the disk is full, no change can be stored.')];
  } catch (error) {
    return [bad('disk', `it can't be looked at: ${(error as Error).message}`, 'Look at the state directory.')];
  }
}

function size(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.round(bytes / 1024 ** 2)} MiB`;
}

async function upstreams({ live: read, workers }: DoctorOptions): Promise<CheckLine[]> {
  const live = await read(true);
  const said = `${live.workers} of ${workers} answer`;
  const busy =
    live.workers >= workers
      ? ok('workers', said)
      : bad('workers', said, 'The others are starting, or too busy: oo status, and the log, say more.');
  const ill = live.instances.flatMap((instance) => illness(instance));
  const empty = live.pools.flatMap(({ kind, name, state }) =>
    state === 'none'
      ? [
          bad(
            `${kind} ${name}`,
            'no instance can take its requests',
            `Start one; oo explain ${name} says why each is out.`,
          ),
        ]
      : [],
  );
  const found = [...limited(ill, 'instances'), ...limited(empty, 'pools')];
  return [busy, ...(found.length === 0 ? [ok('upstreams', wellText(live))] : found)];
}

function wellText({ instances, pools }: Live): string {
  return `nothing is known against ${instances.length} instances of ${pools.length} routes and services`;
}

function illness({ address, state, reason, ejected, breaker, pools }: LiveInstance): CheckLine[] {
  const whose = pools.length === 0 ? '' : ` (${pools.map(({ name }) => name).join(', ')})`;
  const what = `instance ${address}`;
  if (state === 'Unreachable')
    return [bad(what, `it fails its probes${whose}: ${reason}`, 'Start it, or take it out of its route or service.')];
  if (ejected !== null)
    return [
      bad(
        what,
        `requests fail there${whose}: ${ejected.cause}`,
        `It is tried again in ${Math.ceil(ejected.leftMs / 1_000)} s.`,
      ),
    ];
  if (breaker === 'open')
    return [bad(what, `its breaker is open${whose}`, 'It is overloaded, or down: look at its log.')];
  return [];
}

async function certificates({ certificates: admin, now }: DoctorOptions): Promise<CheckLine[]> {
  if (admin === undefined) return [];
  const [list, waiting] = [await admin.list(), await admin.waiting()];
  const late = list.flatMap(({ id, notAfter }) => {
    const left = notAfter === undefined ? Number.POSITIVE_INFINITY : Date.parse(notAfter) - now();
    if (left > lateMs) return [];
    const when = left <= 0 ? 'has expired' : `expires in ${Math.max(1, Math.round(left / dayMs))} days`;
    return [
      bad(
        `certificate ${id}`,
        `it ${when}`,
        `oo cert get ${id} says why it is not renewed; oo cert renew ${id} tries.`,
      ),
    ];
  });
  const missing = waiting.map(({ id }) =>
    bad(`certificate ${id}`, 'there is none yet', `oo cert get ${id} says what stands in the way.`),
  );
  const found = [...limited(late, 'certificates'), ...limited(missing, 'certificates')];
  return found.length > 0 ? found : [ok('certificates', `${list.length}, none near its end, none missing`)];
}

/** DNS, port 80, CAA and what else a CA looks at, for the first few names. */
async function names({ certificates: admin, hosts }: DoctorOptions): Promise<CheckLine[]> {
  if (admin === undefined) return [];
  const all = hosts();
  const looked = await Promise.all(
    all.slice(0, maxHosts).map(async (host) => ({ host, lines: await checked(admin, host) })),
  );
  const lines = looked.flatMap(({ host, lines }) => {
    const wrong = lines.filter((line) => !line.ok);
    if (wrong.length === 0) return [ok(host, 'a CA would find all it looks for')];
    return wrong.map(({ what, message, hint }) => bad(`${host} ${what}`, message, hint));
  });
  const left = all.length - looked.length;
  return left <= 0 ? lines : [...lines, ok('names', `${left} more were not looked up: oo cert check HOST does`)];
}

async function checked(admin: CertificateAdmin, host: string): Promise<readonly CheckLine[]> {
  try {
    return await admin.check(host);
  } catch (error) {
    return [bad('check', (error as Error).message, (error as { hint?: string }).hint ?? '')];
  }
}

function limited(lines: CheckLine[], noun: string): CheckLine[] {
  if (lines.length <= maxLines) return lines;
  const rest = lines.length - maxLines;
  return [...lines.slice(0, maxLines), bad(noun, `${rest} more, likewise`, 'oo status and oo cert ls list all.')];
}

function ok(what: string, message: string): CheckLine {
  return { what, ok: true, message, hint: '' };
}

function bad(what: string, message: string, hint: string): CheckLine {
  return { what, ok: false, message, hint };
}
