/** What a command sees of its process: replaced by tests. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data. */
  out(text: string): void;
  /** Data that is no text; left out where it would go to a terminal. Resolves when more may come. */
  write?(bytes: Uint8Array): Promise<void>;
  /** Everything else. */
  err(text: string): void;
  /** All of standard input. */
  read(): Promise<Uint8Array>;
  /** Left out: nobody sits in front of it. */
  readonly person?: Person;
}

/** Somebody who reads along. */
export interface Person {
  /** Whether data goes to a terminal that shows colors, and they are wanted. */
  readonly colors: boolean;
  /** Whether everything else goes to a terminal. */
  readonly watches: boolean;
  /** A line that is typed; undefined at its end, Ctrl-D. Left out: nobody can type. */
  ask?(question: string): Promise<string | undefined>;
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
    ...(!process.stdout.isTTY && { write: writeBytes }),
    err: (text) => void process.stderr.write(text),
    async read() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    person: personOf(process.env),
  };
}

function writeBytes(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function personOf(env: Io['env']): Person | undefined {
  const { stdin, stdout, stderr } = process;
  const isDumb = env.TERM === 'dumb' || env.TERM === undefined;
  if (!stdout.isTTY && !stderr.isTTY) return undefined;
  return {
    // https://no-color.org
    colors: stdout.isTTY && !isDumb && !env.NO_COLOR,
    watches: stderr.isTTY && !isDumb,
    ...(stdin.isTTY && stderr.isTTY && { ask: askPerson }),
  };
}

async function askPerson(question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await new Promise((resolve) => {
      lines.on('close', () => resolve(undefined));
      lines.question(question).then(resolve, () => resolve(undefined));
    });
  } finally {
    lines.close();
  }
}
