import * as v from 'valibot';

const text = v.optional(v.string());
const number = v.optional(v.number());

/** What registers an instance: the seed's fields, then ours. What its values must be is the registry's to say. */
const fields = {
  ...{ id: text, url: text, deploymentId: text, scheme: text, host: text, ip: text, port: number, path: text },
  ...{ tags: v.optional(v.array(v.string())), ttlSeconds: number, weight: number, priority: number },
};

/** The seed's call: whose instance it is says the token. */
export const registrationSchema = v.strictObject(fields);
/** Ours may say it, where no token does. */
export const ownRegistrationSchema = v.strictObject({ ...fields, slug: text });
/** The names of a registration's fields, as files and the API spell them. */
export const registrationFields = Object.keys(ownRegistrationSchema.entries);

export const idsSchema = v.strictObject({ ids: v.array(v.string()) });
export const emptySchema = v.looseObject({});

const mapping = v.record(v.string(), v.unknown());
/** The seed's call: the definition itself, or it as the field `definition`. */
export const definitionSchema = mapping;
export const definitionsSchema = v.strictObject({ definitions: v.array(v.unknown()) });

export const tokenSchema = v.strictObject({
  scopes: v.optional(v.pipe(v.array(v.string()), v.maxLength(50))),
  role: v.optional(v.picklist(['service', 'admin'])),
  slug: text,
  note: v.optional(v.pipe(v.string(), v.maxLength(200))),
  expiresInSeconds: v.optional(v.number()),
});
