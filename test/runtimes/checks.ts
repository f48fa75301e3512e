import type { Group } from './check.ts';
import { aborts } from './checks/aborts.ts';
import { bodies } from './checks/bodies.ts';
import { changes } from './checks/changes.ts';
import { failing } from './checks/failures.ts';
import { handlers } from './checks/handlers.ts';
import { insight } from './checks/insight.ts';
import { matching } from './checks/matching.ts';
import { options } from './checks/options.ts';
import { pools } from './checks/pools.ts';
import { requestFields } from './checks/request-fields.ts';
import { responses } from './checks/responses.ts';
import { streams } from './checks/streams.ts';
import { websockets } from './checks/websockets.ts';
import { wire } from './checks/wire.ts';

/** All checks, in the order of the table. */
export const groups: readonly Group[] = [
  matching,
  ...[requestFields, responses, bodies, streams, aborts, websockets, wire],
  ...[failing, pools, changes, options, handlers, insight],
];
