/** What a command sees of its process: replaced by tests. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  /** All of standard input. */
  read(): Promise<Uint8Array>;
}

/** The process's own. Output into a closed pipe (`oo route list | head`) ends it quietly. */
export function processIo(): Io {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  return {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    async read() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  };
}
