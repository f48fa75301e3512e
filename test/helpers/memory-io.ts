import type { Io } from '../../cli/io.ts';

export interface MemoryIo extends Io {
  readonly said: { out: string; err: string };
}

/** A command's surroundings without a process: what it says is kept, what it reads is given. */
export function memoryIo(env: Record<string, string> = {}, input = ''): MemoryIo {
  const said = { out: '', err: '' };
  return {
    env,
    said,
    out(text) {
      said.out += text;
    },
    err(text) {
      said.err += text;
    },
    read: async () => Buffer.from(input),
  };
}
