import type { GuardRequest } from './guard-request.ts';
import type { GuardAnswer } from './guard-visit.ts';
import { failureReply, type Reply } from './reply.ts';

/** What a guard's answer is on the wire. */
export function guardReply(answer: GuardAnswer, request: GuardRequest, requestId: string): Reply {
  const more = answer.fields.map(([name, value]) => `${name}: ${value}`);
  if (answer.kind === 'reply') return { status: answer.status, lines: more, body: answer.body };
  const { accept, host, path } = request;
  const { code, detail, retryAfter } = answer;
  const { status, lines, body } = failureReply(
    code,
    { accept, requestId, host, path, detail },
    retryAfter || undefined,
  );
  return { status, lines: [...lines, ...more], body };
}
