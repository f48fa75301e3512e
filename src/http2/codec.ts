/** HTTP/2 for the edge, in one place. */
export { ClientConnection, type ClientHandler, type ClientParts, type RequestKind } from './client.ts';
export type { ConnectionHandler } from './connection.ts';
export {
  CANCEL,
  CONNECT_ERROR,
  ENHANCE_YOUR_CALM,
  ERROR_NAMES,
  HTTP_1_1_REQUIRED,
  INADEQUATE_SECURITY,
  INTERNAL_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
} from './frames.ts';
export { NEVER_INDEXED, UNINDEXED } from './hpack-write.ts';
export { type ConnectionOptions, defaultOptions } from './options.ts';
export { giveOutput, type Output } from './output.ts';
export { type AuthorityCheck, RequestHead } from './request.ts';
export type { RequestLimits } from './request-registers.ts';
export { ResponseHead } from './response.ts';
export { FieldRules } from './rules.ts';
export { ServerConnection, type ServerHandler, type ServerParts } from './server.ts';
export { BY_CONNECTION, BY_PEER, BY_US, ClientStream, ServerStream, Stream } from './stream.ts';
export { Trailers } from './trailers.ts';
