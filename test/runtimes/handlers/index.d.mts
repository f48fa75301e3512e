import type { Handler } from '../../../src/core/handler-types.ts';

export const checkHandlers: Readonly<Record<string, Handler>>;
