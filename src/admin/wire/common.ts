import * as v from 'valibot';

/** A schema with what a reader needs: a sentence, and with it a default or examples. */
export function about<S extends v.GenericSchema>(schema: S, description: string, more: About = {}) {
  return v.pipe(schema, v.metadata({ description, ...more })) as unknown as S;
}

interface About {
  /** What holds where it is left out. */
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
}

/** As `about`, of a field that may be left out. */
export function maybe<S extends v.GenericSchema>(schema: S, description: string, more: About = {}) {
  return v.optional(about(schema, description, more));
}

export const text = v.string();
export const flag = v.boolean();
export const texts = v.array(v.string());

/** A whole number. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

/** Milliseconds. */
export function ms(least: number, most: number) {
  return whole(least, most);
}

export function between(least: number, most: number) {
  return v.pipe(v.number(), v.minValue(least), v.maxValue(most));
}

/** RFC 3339, UTC. */
export const time = v.pipe(v.string(), v.isoTimestamp(), v.metadata({ description: 'RFC 3339, UTC.' }));
/** Or null. */
export const timeOrNull = v.nullable(time);

export const epochMs = about(v.number(), 'Milliseconds since 1970, UTC.');

export const revision = about(whole(0), 'The number of the configuration: every change makes the next one.');

/** A reason is a line in the change log, not an essay. */
export const reason = v.optional(
  about(v.pipe(v.string(), v.maxLength(1_000)), 'Why: a line for the history.', {
    examples: ['moved to the new rack'],
  }),
);

export const ids = about(texts, 'Ids.');
export const idsBody = v.strictObject({ ids });
export const removed = v.strictObject({
  removed: about(texts, 'Ids of what was removed.'),
  missing: about(texts, 'Ids that there are none of, as they were given.'),
});

/** A query's `true`; left out: false. */
export const yes = v.optional(v.picklist(['true', 'false']));

/** One or several: `?id=a&id=b`. */
export const several = v.optional(v.union([v.string(), texts]));

/** Any JSON object. */
export const mapping = v.record(v.string(), v.unknown());

export const empty = v.strictObject({});

export const dryRun = about(yes, 'Plans and proves, and changes nothing: the answer has `changes`.');
export const dryRunQuery = v.strictObject({ dryRun });

/** A revision, with or without its @. */
const at = about(v.pipe(v.string(), v.regex(/^@?\d{1,15}$/)), 'As it was at this revision.', { examples: ['5'] });
export const atQuery = v.strictObject({ at: v.optional(at) });
export const pageEntries = {
  limit: v.optional(about(v.pipe(v.string(), v.regex(/^\d{1,4}$/)), 'At most so many, 1 to 1000. Default: all.')),
  after: maybe(v.string(), 'Those behind this id: the `next` of the page before.'),
};
/** Of a change of one thing, whose body is the thing itself. */
export const oneChangeQuery = v.strictObject({ dryRun, reason });
export const next = maybe(v.string(), 'There are more: send it as `after`.');
