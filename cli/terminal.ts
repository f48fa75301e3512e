/** A terminal that is written to line by line, and drawn over. */
export interface Terminal {
  /** As it is now. */
  size(): { readonly columns: number; readonly rows: number };
  readonly colors: boolean;
  /**
   * Hears keys, each as its text; Ctrl-C is `\x03`. Where standard input is no terminal, none comes.
   * @returns ends it
   */
  keys(listener: (key: string) => void): () => void;
}

/**
 * The terminal that a command writes to.
 * @returns undefined in a pipe, and for one that can't be drawn over (TERM=dumb)
 */
export function terminalOf(env: Readonly<Record<string, string | undefined>>): Terminal | undefined {
  const { stdout, stdin } = process;
  if (!stdout.isTTY || env.TERM === 'dumb' || env.TERM === undefined) return undefined;
  return {
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    // https://no-color.org
    colors: !env.NO_COLOR,
    keys(listener) {
      if (!stdin.isTTY) return () => {};
      const hear = (chunk: Buffer) => {
        for (const key of chunk.toString()) listener(key);
      };
      stdin.setRawMode(true);
      stdin.on('data', hear);
      stdin.resume();
      return () => {
        stdin.off('data', hear);
        stdin.setRawMode(false);
        stdin.pause();
      };
    },
  };
}
