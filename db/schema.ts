import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** One row, id 1: which schema the database has, the revision of its configuration, and the numbers of the last changes of the rest. */
export const meta = sqliteTable('meta', {
  id: integer('id').primaryKey(),
  schema: integer('schema').notNull(),
  revision: integer('revision').notNull(),
  certificateVersion: integer('certificate_version').notNull().default(0),
  registryVersion: integer('registry_version').notNull().default(0),
  /** Of removed rows of the registry, those of this version and before are forgotten. */
  registryForgotten: integer('registry_forgotten').notNull().default(0),
  tokenVersion: integer('token_version').notNull().default(0),
});

/** The configuration as it is now: routes, definitions of services, and the settings (one row, `server`). */
export const resources = sqliteTable(
  'resources',
  {
    /** `route`, `service`, `settings`. */
    kind: text('kind').notNull(),
    /** Of a route in normal form. */
    id: text('id').notNull(),
    /** JSON, the id in it. */
    value: text('value').notNull(),
    /** The revision that last wrote this row. */
    revision: integer('revision').notNull(),
    /** Epoch ms. */
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.id] })],
);

/** The change log: who made which revision, when and why. Without a gap up to the present one, and bounded: see configuration.ts. */
export const revisions = sqliteTable('revisions', {
  revision: integer('revision').primaryKey(),
  /** Made anew for each commit: tells whether a commit whose answer was lost had been stored. */
  commitId: text('commit_id').notNull(),
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  /** An address, `socket`, or '' where it is not known. */
  source: text('source').notNull().default(''),
  reason: text('reason'),
  /** How many rows of `resource_changes` it has. */
  changes: integer('changes').notNull(),
});

/** What a revision changed: the JSON before and after, null for none. */
export const resourceChanges = sqliteTable(
  'resource_changes',
  {
    revision: integer('revision').notNull(),
    kind: text('kind').notNull(),
    id: text('id').notNull(),
    before: text('before'),
    after: text('after'),
  },
  (table) => [primaryKey({ columns: [table.revision, table.kind, table.id] })],
);

/**
 * One row, id 1, from the first start with a key on: which key the private keys below are sealed with (cipher.ts), and how to
 * tell it from another. The key itself is never here.
 */
export const encryption = sqliteTable('encryption', {
  id: integer('id').primaryKey(),
  /** Says which key it is and nothing else of it; part of every sealed value, too. */
  keyId: text('key_id').notNull(),
  /** Random, base64: a passphrase becomes a key with it. Never changes. */
  salt: text('salt').notNull(),
  /** A known text, sealed: what opens it is the key. */
  checkValue: text('check_value').notNull(),
  /** For who looks for the key: `given`, or `HOST:PATH` of the key file that was made. */
  origin: text('origin').notNull(),
  /** When it became the key, epoch ms. */
  since: integer('since').notNull(),
});

/** The certificates as they are now, whoever gave them. Times are epoch ms. */
export const certificates = sqliteTable(
  'certificates',
  {
    id: text('id').primaryKey(),
    /** JSON: a list, the common name first. */
    names: text('names').notNull(),
    /** PEM, the leaf first. */
    chain: text('chain').notNull(),
    /** PEM, sealed. */
    privateKey: text('private_key').notNull(),
    /** `acme`, `saved`, `local`. */
    source: text('source').notNull(),
    /** `ecdsa`, `rsa`. */
    keyType: text('key_type').notNull(),
    issuer: text('issuer').notNull(),
    serial: text('serial').notNull(),
    notBefore: integer('not_before').notNull(),
    notAfter: integer('not_after').notNull(),
    directory: text('directory').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    /** The change that last wrote this row. */
    version: integer('version').notNull(),
  },
  (table) => [index('certificates_by_version').on(table.version)],
);

/** Which certificate each version changed; it was removed if it isn't there any more. Bounded: see `changesKept` in certificates.ts. */
export const certificateChanges = sqliteTable('certificate_changes', {
  version: integer('version').primaryKey(),
  certificateId: text('certificate_id').notNull(),
});

/** What is known of the attempts for a certificate id: `CertificateState` without its id, as JSON. */
export const certificateStates = sqliteTable('certificate_states', {
  id: text('id').primaryKey(),
  value: text('value').notNull(),
});

/** One account for each CA. */
export const acmeAccounts = sqliteTable('acme_accounts', {
  directory: text('directory').primaryKey(),
  /** The account's URL at the CA. */
  url: text('url').notNull(),
  /** PEM, sealed. */
  privateKey: text('private_key').notNull(),
  contact: text('contact').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
});

/** What CAs may ask for now; any server of this database answers it. */
export const challenges = sqliteTable(
  'challenges',
  {
    /** `http-01 TOKEN`, `tls-alpn-01 NAME`. */
    key: text('key').primaryKey(),
    type: text('type').notNull(),
    name: text('name').notNull(),
    token: text('token').notNull(),
    /** HTTP-01: the key authorization, which is public. TLS-ALPN-01: the certificate, PEM. */
    content: text('content').notNull(),
    /** TLS-ALPN-01: PEM, sealed. */
    privateKey: text('private_key'),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [index('challenges_by_end').on(table.expiresAt)],
);

/** Who alone may do a thing (issue a certificate, say), and until when. */
export const leases = sqliteTable(
  'leases',
  {
    name: text('name').primaryKey(),
    holder: text('holder').notNull(),
    expiresAt: integer('expires_at').notNull(),
  },
  (table) => [index('leases_by_end').on(table.expiresAt)],
);

/** One row, id 1: all keys of session tickets, since they are only ever replaced together. */
export const ticketKeys = sqliteTable('ticket_keys', {
  id: integer('id').primaryKey(),
  /** JSON of a list of `TicketKey`, sealed. */
  sealed: text('sealed').notNull(),
  /** A digest of that JSON, to compare by: sealing the same twice gives two texts. The keys are random, so it tells nothing of them. */
  digest: text('digest').notNull(),
});

/** The on-demand issuances of the last hour. */
export const onDemand = sqliteTable(
  'on_demand',
  {
    /** Made anew for each: tells whether one whose answer was lost was counted. */
    id: text('id').primaryKey(),
    at: integer('at').notNull(),
  },
  (table) => [index('on_demand_by_time').on(table.at)],
);

/** Instances of services, and nodes, as they are now. What changes all the time, of an instance, has its own columns. */
export const registry = sqliteTable(
  'registry',
  {
    /** `instance`, `node`. */
    kind: text('kind').notNull(),
    id: text('id').notNull(),
    /** JSON: all that is not in a column. */
    value: text('value').notNull(),
    /** Of instances, from here on; else null. Times are epoch ms. */
    lastHeartbeat: integer('last_heartbeat'),
    status: text('status'),
    details: text('details'),
    statusSince: integer('status_since'),
    /** The write that last wrote this row. */
    version: integer('version').notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.id] }), index('registry_by_version').on(table.version)],
);

/** Rows of the registry that are gone, for who read it before. Bounded: see `removalsKept` in registry.ts. */
export const registryRemovals = sqliteTable(
  'registry_removals',
  {
    kind: text('kind').notNull(),
    id: text('id').notNull(),
    version: integer('version').notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.id] }), index('registry_removals_by_version').on(table.version)],
);

/** The last known states of what is probed for routes. Times are epoch ms. */
export const health = sqliteTable('health', {
  key: text('key').primaryKey(),
  state: text('state').notNull(),
  since: integer('since').notNull(),
  reason: text('reason').notNull(),
  writtenAt: integer('written_at').notNull(),
});

/** Who may use the API over the network. The tokens themselves are nowhere. Times are epoch ms. */
export const tokens = sqliteTable('tokens', {
  id: text('id').primaryKey(),
  /** SHA-256 of the token, hex. */
  hash: text('hash').notNull().unique(),
  /** What servers of schema 3 read, while they share the database: `admin`, `service`, or `scoped`, which lets its holder do nothing there. */
  role: text('role').notNull(),
  /** Between spaces. */
  scopes: text('scopes').notNull().default(''),
  slug: text('slug').notNull(),
  note: text('note').notNull(),
  createdAt: integer('created_at').notNull(),
  /** 0: never. */
  expiresAt: integer('expires_at').notNull(),
});

/** What signs the cookies of sticky clients; the newest has the highest id. Base64, as it is: see secrets.ts. */
export const stickySecrets = sqliteTable('sticky_secrets', {
  id: integer('id').primaryKey(),
  secret: text('secret').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** Who wrote what by the API. Bounded: see audit.ts. */
export const audit = sqliteTable('audit', {
  /** Grows by one with each. */
  id: integer('id').primaryKey(),
  /** Made anew for each: tells whether one whose answer was lost had been stored. */
  key: text('key').notNull().unique(),
  /** Epoch ms. */
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  /** An address, or `socket`. */
  source: text('source').notNull(),
  operation: text('operation').notNull(),
  method: text('method').notNull(),
  path: text('path').notNull(),
  /** What it was about: JSON, a list of texts. */
  ids: text('ids').notNull(),
  status: integer('status').notNull(),
  /** The one that it made; null for none. */
  revision: integer('revision'),
});
