import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { describeError, LoadError, loadHandler, messageOf } from './load.ts';
import type { FromHandler, HandlerStart, ToHandler } from './protocol.ts';
import { HandlerServer } from './serve.ts';

/** Lines a second that the log gets from one process; more are counted, and left out. */
const maxLines = 20;

/**
 * Runs a handler: a child process of the main one, which tells it what to run by its first message. It ends with the main process, whatever the
 * handler is doing, and on any error that the handler does not catch.
 */
export function runHandler(): void {
  takeBlame();
  let server: HandlerServer | undefined;
  const log = lineLog();
  let file = '';
  process.on('message', (message: ToHandler) => {
    switch (message.type) {
      case 'start':
        file = message.file;
        guard();
        start(message, log).then(
          (started) => {
            server = started;
            send({ type: 'listening' });
          },
          (error) => refuse(error),
        );
        return;
      case 'ping':
        return send({ type: 'pong' });
      case 'drain':
        setTimeout(() => process.exit(0), message.timeoutMs);
        void Promise.resolve(server?.drain()).then(() => process.exit(0));
    }
  });
  process.on('disconnect', () => process.exit(0));
  // The main process hears the signals and says when to end; a terminal sends Ctrl-C to the whole group.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  function guard(): void {
    process.on('uncaughtException', (error) => {
      // Before it listens Node itself says where: the main process reads that.
      if (server === undefined) return;
      log(`ends by an error that nobody has caught: ${describeError(error, file)}`);
      process.exit(1);
    });
  }
}

async function start(message: HandlerStart, log: (line: string) => void): Promise<HandlerServer> {
  const { source, ...rest } = message;
  const handler = await loadHandler(source);
  const server = new HandlerServer({ ...rest, handler, log });
  await server.listen();
  return server;
}

/** It can't run. A syntax error's place is told by Node alone, on standard error, as the process ends by it. */
function refuse(error: unknown): void {
  if (error instanceof SyntaxError) {
    process.removeAllListeners('uncaughtException');
    setImmediate(() => {
      throw error;
    });
    return;
  }
  const fault = error instanceof LoadError ? error.fault : { message: messageOf(error) };
  process.send?.({ type: 'failed', fault } satisfies FromHandler, () => process.exit(1));
}

/** Should memory run out, this is what the system ends first. */
function takeBlame(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux, or not allowed: the main process's own limit is there still.
  }
  // A handler in an endless loop hears nothing of the main process's end. A thread does.
  const watch = `const parent = ${process.ppid}; setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL'); }, 1000);`;
  new Worker(watch, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 } }).unref();
}

function lineLog(): (line: string) => void {
  let second = 0;
  let lines = 0;
  let leftOut = 0;
  return (line) => {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) {
      if (leftOut > 0) send({ type: 'log', line: `${leftOut} lines are left out` });
      second = now;
      lines = 0;
      leftOut = 0;
    }
    if (++lines > maxLines) leftOut++;
    else send({ type: 'log', line });
  };
}

function send(message: FromHandler): void {
  if (process.connected) process.send?.(message, () => {});
}
