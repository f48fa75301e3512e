import type { ProbeError, ProbeResult } from '../core/health-probe.ts';

/** Faults of this machine: they say nothing of whom it asks. */
const local = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN', 'EPERM']);

const closed = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNABORTED']);

/** Where a probe was when it failed. */
export type ProbeStage = 'resolve' | 'connect' | 'handshake' | 'answer';

/** @returns undefined: it says nothing of whom was asked */
export function classify(error: Error, stage: ProbeStage): Pick<ProbeResult, 'error' | 'detail'> | undefined {
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (local.has(code)) return undefined;
  return { error: errorOf(code, stage), detail: closed.has(code) ? '' : textOf(code, message) };
}

function errorOf(code: string, stage: ProbeStage): ProbeError {
  if (stage === 'resolve') return 'unresolved';
  if (stage === 'connect') return code === 'ETIMEDOUT' ? 'timeout' : 'refused';
  if (stage === 'handshake') return 'tls';
  return closed.has(code) ? 'closed' : 'protocol';
}

function textOf(code: string, message: string): string {
  return message === '' ? code : message;
}
