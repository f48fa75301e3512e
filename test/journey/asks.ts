import { Agent } from 'node:http';
import { within } from '../helpers/wait.ts';
import { get, type Page } from './oo.ts';

/** One answer, and how long it took, ms. */
export interface Answer extends Page {
  readonly tookMs: number;
}

export interface AskOptions {
  /** Kept connections, each with one request at a time. Default 20. */
  readonly connections?: number;
  readonly host?: string;
  readonly path?: string;
  /** The headers of the request with this number. */
  readonly headersOf?: (i: number) => Record<string, string>;
  /** For all of them, ms. */
  readonly ms?: number;
}

/** Sends so many GETs over kept connections. @returns every answer, by its number; rejects where one has none */
export async function ask(port: number, count: number, options: AskOptions = {}): Promise<Answer[]> {
  const { connections = 20, host, path = '/', headersOf = () => ({}), ms = 60_000 } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const answers: Answer[] = [];
  let next = 0;
  const client = async () => {
    while (next < count) {
      const i = next++;
      const startedAt = performance.now();
      const page = await get(port, path, { host, agent, headers: headersOf(i), ms: 20_000 });
      answers[i] = { ...page, tookMs: performance.now() - startedAt };
    }
  };
  try {
    await within(Promise.all(Array.from({ length: connections }, client)), `${count} answers`, ms);
  } finally {
    agent.destroy();
  }
  return answers;
}

/** How many answers had which text. */
export function countTexts(answers: readonly { readonly text: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { text } of answers) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}

/** The value that this part of the times does not exceed, ms. */
export function percentile(answers: readonly Answer[], part: number): number {
  const times = answers.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  return Math.round(times[Math.min(times.length - 1, Math.floor(times.length * part))]);
}
