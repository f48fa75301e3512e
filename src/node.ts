export type { Handler, HandlerContext, HandlerOptions, Next } from './core/handler-types.ts';
export type { ServiceOptions } from './core/pool-types.ts';
export type { Route, RouteFault } from './core/types.ts';
export type { ListenAddress } from './edge/settings.ts';
export { CertificateStorageError, certificateDirectory } from './embed/certificate-directory.ts';
export type {
  AcmeOptions,
  CertificateInfo,
  CertificateNews,
  CertificateOptions,
  CertificateStorage,
  OwnCertificate,
  StorageEntry,
} from './embed/certificate-types.ts';
export { createEdge } from './embed/create-edge.ts';
export { EdgeListenError } from './embed/listen-error.ts';
export type {
  EdgeHooks,
  EdgeLimits,
  EdgeOptions,
  EdgePorts,
  EdgeRoute,
  EdgeServices,
  EdgeStats,
  EmbeddedEdge,
} from './embed/types.ts';
export { nodeUpgrade } from './proxy/node-upgrade.ts';
