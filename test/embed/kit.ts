import http from 'node:http';
import https from 'node:https';
import { createEdge, type EdgeOptions, type EdgePorts, type EdgeRoute, type EmbeddedEdge } from '../../src/node.ts';
import { closeLater } from '../helpers/cleanup.ts';

export const loopback = { port: 0, host: '127.0.0.1' } as const;

/** An edge that listens on free ports of 127.0.0.1. */
export interface Listening extends EdgePorts {
  readonly edge: EmbeddedEdge;
  /** Lines of its log. */
  readonly lines: string[];
}

/** Makes an edge with plain HTTP, unless `options` say otherwise, and has it listen; `cleanUp` ends it at the latest. */
export async function listening(routes: readonly EdgeRoute[], options: Partial<EdgeOptions> = {}): Promise<Listening> {
  const lines: string[] = [];
  const edge = createEdge({ routes, http: loopback, log: (line) => lines.push(line), ...options });
  closeLater({ close: () => void edge.close({ timeoutMs: 0 }) });
  return { edge, lines, ...(await edge.listen()) };
}

export interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** Asks over a connection of its own, or one of `agent`. @param options `port` is needed; `ca` makes it HTTPS */
export function get(options: https.RequestOptions & { readonly body?: string }): Promise<Got> {
  const { request } = options.ca === undefined ? http : https;
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', agent: false, signal: AbortSignal.timeout(20_000), ...options });
    asked.on('error', reject);
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    asked.end(options.body);
  });
}
