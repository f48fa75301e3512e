import * as v from 'valibot';
import { nearest } from '../core/nearest.ts';
import { type Fault, short, show } from './fault.ts';
import { pointerTo } from './pointer.ts';

/**
 * Proves a request's body.
 * @returns the value, or faults that name the field, each with its JSON pointer
 */
export function readBody<S extends v.GenericSchema>(
  schema: S,
  body: unknown,
): { value: v.InferOutput<S> } | { faults: (Fault & { readonly pointer: string })[] } {
  const result = v.safeParse(schema, body);
  if (result.success) return { value: result.output };
  return { faults: result.issues.map((issue) => faultOf(issue, schema, body)) };
}

function faultOf(issue: v.BaseIssue<unknown>, schema: v.GenericSchema, body: unknown): Fault & { pointer: string } {
  const pointer = pointerTo(issue.path?.map(({ key }) => key as string | number) ?? []);
  const field = v.getDotPath(issue) ?? undefined;
  if (!field) return { pointer, message: `the body is ${show(body)}; expected a JSON object` };
  const said = (message: string) => ({ pointer, field, message });
  if (issue.expected === 'never') return said(`unknown field '${short(field)}'${meant(field, schema)}`);
  if (issue.received === 'undefined') return said(`${field} is missing; expected ${plain(issue)}`);
  return said(`${field} is ${show(issue.input)}; expected ${plain(issue)}`);
}

function meant(field: string, schema: v.GenericSchema): string {
  const entries = 'entries' in schema ? Object.keys(schema.entries as object) : [];
  const near = nearest(field, entries);
  return near === undefined ? '' : `; did you mean ${near}?`;
}

function plain(issue: v.BaseIssue<unknown>): string {
  if (issue.expected === 'Array' || /^"(routes|services|definitions|ids|certs)"$/.test(String(issue.expected)))
    return 'a list';
  // A field's name in quotes: it is missing.
  if (issue.expected?.startsWith('"') && issue.type === 'strict_object') return 'a text';
  if (issue.type === 'max_length')
    return `at most ${String((issue as { requirement?: unknown }).requirement)} characters`;
  return issue.expected === 'string' ? 'a text' : String(issue.expected);
}
