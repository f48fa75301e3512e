import type * as v from 'valibot';
import { certificateDetailWire, certificateFailureWire, certificateWire } from './certificate.ts';
import { definitionWire } from './definition.ts';
import { appliedWire, changeWire, revisionInfoWire, stateWire } from './history.ts';
import {
  balanceWire,
  breakerWire,
  canaryWire,
  gateWire,
  healthWire,
  limitsWire,
  outlierWire,
  retryWire,
  rolloutWire,
  targetWire,
  weightedTargetWire,
} from './pool.ts';
import { faultWire, problemWire } from './problem.ts';
import { instanceWire, memberWire, nodeWire } from './registry.ts';
import { optionWires, routeWire } from './route-options.ts';
import { serviceWire } from './service.ts';
import { settingsWire } from './settings.ts';
import { liveWire } from './status.ts';
import { tokenWire } from './token.ts';

/** The schemas that have a name: what refers to them says it. */
export const components: Readonly<Record<string, v.GenericSchema>> = {
  ...{ Route: routeWire, Target: targetWire, WeightedTarget: weightedTargetWire, Balance: balanceWire },
  ...{ Health: healthWire, Outlier: outlierWire, Breaker: breakerWire, Limits: limitsWire, Retry: retryWire },
  ...{ Rollout: rolloutWire, Gate: gateWire, Canary: canaryWire, ...optionWires },
  ...{ Definition: definitionWire, Service: serviceWire, Member: memberWire, Instance: instanceWire, Node: nodeWire },
  ...{ Settings: settingsWire, Change: changeWire, Applied: appliedWire, Revision: revisionInfoWire, State: stateWire },
  ...{ Certificate: certificateWire, CertificateDetail: certificateDetailWire },
  ...{ CertificateFailure: certificateFailureWire, Token: tokenWire, Live: liveWire },
  ...{ Problem: problemWire, Fault: faultWire },
};
