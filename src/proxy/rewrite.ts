import type { CompiledOptions } from '../core/option-compile.ts';
import { corsFields, type Field } from '../core/option-cors.ts';
import { putFieldsOf } from '../core/option-header-rules.ts';
import { type RewrittenTarget, rewriteTarget } from '../core/option-path.ts';
import type { Fill } from '../core/option-placeholder.ts';
import type { ProxyClient } from './client.ts';

const corsNames = ['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers'];
const variesByOrigin = /(?:^|,)[ \t]*(?:origin|\*)[ \t]*(?:,|$)/i;
const prefixForm = /^(\/[!-+\--~]*?)\/?$/;

/** Path and query that the upstream gets. @returns undefined where it can't be told what they are: OO_BAD_PATH */
export function targetOf({ path }: CompiledOptions, client: ProxyClient): RewrittenTarget | undefined {
  const target = client.path + client.query;
  return path === null ? { target, stripped: '' } : rewriteTarget(path, target);
}

/**
 * Changes the fields that the upstream gets.
 * @param headers as it would get them, with our forwarding fields
 * @param copied what the authorization server has said
 * @param stripped what was taken off the path; '' for nothing
 */
export function rewriteRequest(
  headers: Headers,
  { forwardAuth, requestHeaders }: CompiledOptions,
  copied: readonly Field[],
  stripped: string,
  fill: Fill,
): void {
  // Whatever the client says by these names goes, also where the answer says nothing.
  for (const name of forwardAuth?.copies ?? []) headers.delete(name);
  for (const [name, value] of copied) headers.append(name, value);
  if (stripped !== '') {
    // What a trusted proxy before us has taken off; all others' are gone by now.
    const prior = prefixForm.exec(headers.get('x-forwarded-prefix') ?? '')?.[1].replace(/\/$/, '') ?? '';
    headers.set('x-forwarded-prefix', prior + stripped);
  }
  if (requestHeaders === null) return;
  for (const name of requestHeaders.drop) headers.delete(name);
  for (const [name, value] of putFieldsOf(requestHeaders, fill)) headers.append(name, value);
}

/** Changes the fields of an upstream's answer. @param origin the request's Origin; '' for none */
export function rewriteResponse(
  headers: Headers,
  { responseHeaders, cors }: CompiledOptions,
  origin: string,
  fill: Fill,
): void {
  if (responseHeaders !== null) {
    for (const name of responseHeaders.drop) headers.delete(name);
    for (const [name, value] of putFieldsOf(responseHeaders, fill)) headers.append(name, value);
  }
  if (cors === null) return;
  for (const name of corsNames) headers.delete(name);
  for (const [name, value] of corsFields(cors, origin)) {
    if (name !== 'Vary' || !variesByOrigin.test(headers.get('vary') ?? '')) headers.append(name, value);
  }
}

/** Adds to an answer of ours what lets the page that asked read it. A preflight's has its own. */
export function addCors(headers: Headers, { cors }: CompiledOptions, origin: string): void {
  if (cors === null) return;
  for (const [name] of headers) if (name.startsWith('access-control-')) return;
  for (const [name, value] of corsFields(cors, origin)) headers.append(name, value);
}
