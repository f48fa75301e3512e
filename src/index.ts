export type { MemberView, PoolView } from './core/explain-pool.ts';
export type { MatchExplanation } from './core/explain-types.ts';
export type { FailureCode } from './core/failure.ts';
export type { Handler, HandlerContext, HandlerOptions, Next } from './core/handler-types.ts';
export type { RouteOptions } from './core/option-types.ts';
export type { PoolOptions, TargetSpec, WeightedTarget } from './core/pool-types.ts';
export type { Route, RouteFault } from './core/types.ts';
export { nodeUpgrade } from './proxy/node-upgrade.ts';
export { createProxy } from './proxy/proxy.ts';
export { routeOptions } from './proxy/route-options.ts';
export type {
  HealthChange,
  ProxyApp,
  ProxyExchange,
  ProxyExplanation,
  ProxyFailure,
  ProxyHooks,
  ProxyOptions,
  ProxyRoute,
  ProxyStats,
  RouteOptionsSupport,
  RouteStats,
  TargetStats,
  VerifyPassword,
} from './proxy/types.ts';
export { websocket } from './proxy/websocket.ts';
