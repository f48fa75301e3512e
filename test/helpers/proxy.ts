import { compile } from '../../src/core/routes.ts';
import type { Route } from '../../src/core/types.ts';
import { Edge } from '../../src/edge/edge.ts';
import { defaultEdgeSettings, type EdgeSettings } from '../../src/edge/settings.ts';
import { closeLater } from './cleanup.ts';
import { listenFront } from './front.ts';
import { type Origin, type Script, startOrigin } from './origin.ts';

/** An edge that listens on a free port of 127.0.0.1, in this process. */
export interface TestEdge {
  readonly edge: Edge;
  readonly port: number;
  /** Lines of the error log. */
  readonly errors: string[];
  /** Lines of the access log. */
  readonly access: string[];
  /** Puts another table in the place of the present one. */
  route(...routes: Route[]): void;
  close(): void;
}

/** Starts an edge. Fails if `routes` do not compile. */
export async function startEdge(
  routes: readonly Route[],
  settings: Partial<EdgeSettings> & { logAccess?: boolean } = {},
): Promise<TestEdge> {
  const errors: string[] = [];
  const access: string[] = [];
  const log = {
    access: settings.logAccess ? (line: string) => void access.push(line) : null,
    error: (line: string) => void errors.push(line),
  };
  const edge = new Edge({ ...defaultEdgeSettings, ...settings }, log);
  let revision = 0;
  const route = (...next: Route[]) => {
    const compiled = compile(next, ++revision);
    if ('faults' in compiled) throw new Error(compiled.faults.map(({ message }) => message).join('; '));
    edge.table = compiled.table;
  };
  route(...routes);
  const port = await listenFront(edge);
  return closeLater({ edge, port, errors, access, route, close: () => edge.close() });
}

/** An origin with an edge before it that forwards every host to it. */
export interface Pair extends TestEdge {
  readonly origin: Origin;
}

/** Runs `test` with an origin that does as `script` says, behind an edge; ends both afterwards. */
export async function withPair(
  script: Script | NonNullable<Script['request']>,
  test: (pair: Pair) => Promise<void>,
  options: { settings?: Partial<EdgeSettings> & { logAccess?: boolean }; route?: Partial<Route> } = {},
): Promise<void> {
  const origin = await startOrigin(script);
  const edge = await startEdge([{ id: '*', target: origin.target, ...options.route }], options.settings);
  try {
    await test({ ...edge, origin });
  } finally {
    edge.close();
    origin.close();
  }
}
