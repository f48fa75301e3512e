import type { Context } from 'hono';
import { CertificateRefusal } from './certs.ts';
import { refuse } from './reply.ts';
import { asStoreFailure } from './store.ts';

/**
 * What was thrown as an answer: a refusal with its status, a failed store 503, anything else 500.
 * @param running what goes on all the same, one sentence; '' for nothing to say
 * @param onError told of faults of the program
 */
export function answerError(c: Context, error: Error, running: string, onError?: (error: Error) => void): Response {
  if (error instanceof CertificateRefusal) {
    return refuse(c, error.status, { error: error.message, code: error.code, hint: error.hint });
  }
  const failure = asStoreFailure(error);
  if (failure) {
    return refuse(c, 503, { error: failure.message, code: failure.code, hint: `${failure.hint} ${running}`.trim() });
  }
  onError?.(error);
  return refuse(c, 500, {
    error: 'The admin API failed.',
    code: 'OO_INTERNAL',
    hint: "The server's log names the cause.",
  });
}
