export type { FailureCode } from './core/failure.ts';
export type { RouteOptions } from './core/option-types.ts';
export type { PoolOptions, TargetSpec, WeightedTarget } from './core/pool-types.ts';
export type { Route, RouteFault } from './core/types.ts';
export {
  createProxy,
  type ProxyApp,
  type ProxyFailure,
  type ProxyOptions,
  type VerifyPassword,
} from './proxy/proxy.ts';
