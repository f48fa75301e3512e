/** A kind of problem: what /docs/errors says of it, and the `title` of every answer that has its code. */
export interface ProblemKind {
  readonly title: string;
  /** Statuses that it comes with. */
  readonly status: readonly number[];
  /** A sentence or two: what it means, and what mends it. */
  readonly about: string;
}

/** By code. Codes are API: one that is here stays. */
export const problemKinds: Readonly<Record<string, ProblemKind>> = {
  OO_BAD_REQUEST: {
    title: 'The request is not as the call expects it',
    status: [400],
    about: 'A field, a parameter or a field of the head has a value that the call does not take. `faults` names each.',
  },
  OO_BAD_JSON: {
    title: 'The body is not JSON',
    status: [400],
    about: 'The body could not be read, or is empty. Send a JSON object.',
  },
  OO_BODY_COMPRESSED: {
    title: 'The body is compressed',
    status: [415],
    about: 'Bodies are taken as they are. Leave Content-Encoding out, and send the JSON itself.',
  },
  OO_BAD_ROUTES: {
    title: 'Routes were refused',
    status: [400],
    about:
      'At least one route is not as it must be; none was stored. `faults` has each one with a pointer into the body.',
  },
  OO_BAD_DEFINITIONS: {
    title: 'Services were refused',
    status: [400],
    about: 'At least one definition is not as it must be; none was stored. `faults` has each one.',
  },
  OO_BAD_APPLY: {
    title: 'What was to be applied was refused',
    status: [400],
    about:
      'A route, a service, a setting or a certificate is not as it must be; nothing was stored. `faults` has each one.',
  },
  OO_BAD_SETTINGS: {
    title: 'Settings were refused',
    status: [400],
    about: 'A setting is unknown or out of its range; nothing was stored. `faults` has each one.',
  },
  OO_BAD_NAME: {
    title: 'The name is none',
    status: [400],
    about: 'A name in the path or in the body is neither a host, a route, nor a service as the call expects it.',
  },
  OO_BAD_CERTIFICATE: {
    title: 'The certificate was refused',
    status: [400],
    about: 'The PEM text has no certificate, not its key, or another name than the one that it was saved for.',
  },
  OO_BACKUP_DAMAGED: {
    title: 'The file is no whole backup',
    status: [400],
    about: 'It is something else, was cut short or changed. Nothing was restored.',
  },
  OO_BACKUP_NEWER: {
    title: 'A later oo made the backup',
    status: [409],
    about: 'Restore it with that oo, or update this one. Nothing was restored.',
  },
  OO_BACKUP_KEY: {
    title: "The backup's encryption key is missing",
    status: [409],
    about:
      'The private keys in it are encrypted with a key that this server has not. Bring it, or restore without certificates. Nothing was restored.',
  },
  OO_NO_TOKEN: {
    title: 'A token is needed',
    status: [401],
    about: 'Over the port each call needs `Authorization: Bearer oo_…`. `oo token create` makes one.',
  },
  OO_BAD_TOKEN: {
    title: 'The token is not good',
    status: [401],
    about: 'There is no such token, it was removed, or it has expired.',
  },
  OO_FORBIDDEN: {
    title: 'The token is not for this',
    status: [403],
    about: 'It lacks the scope that the call needs, or is for another service.',
  },
  OO_CROSS_ORIGIN: {
    title: 'Requests of other sites are refused',
    status: [403],
    about: "A browser said that another site's page makes this request. Call the API from a program.",
  },
  OO_HOST_REFUSED: {
    title: "The name is none of this server's",
    status: [421],
    about:
      'Without a valid token the API answers only under an address, localhost, the name of its machine, that of --self-url, and those of --api-hosts: ' +
      'a page in a browser whose name was made to lead here must get nothing.',
  },
  OO_NOT_FOUND: {
    title: 'There is no such thing',
    status: [404],
    about: 'No call has this path, or nothing has this id. The hint names the nearest one where there is one.',
  },
  OO_NO_CERTIFICATE: {
    title: 'There is no such certificate',
    status: [404],
    about: 'No certificate has this name, and no route asks for one.',
  },
  OO_UNKNOWN_NAME: {
    title: 'There is no such route or service',
    status: [404],
    about: 'What was to be deployed, paused or stopped is not there.',
  },
  OO_NO_REVISION: {
    title: 'This revision is not kept',
    status: [404],
    about: 'It is yet to come, or older than the history goes back. `GET /v1/history` lists those that there are.',
  },
  OO_METHOD_REFUSED: {
    title: 'The path has other methods',
    status: [405],
    about: 'The field Allow, and the hint, name those that the path has.',
  },
  OO_TAKEN: {
    title: 'Another one has this id',
    status: [409],
    about: 'An instance of another service is registered by this id.',
  },
  OO_CONFLICT: {
    title: 'Somebody else was first',
    status: [412],
    about: 'The revision is another one than that of If-Match. Read again, look what has changed, then repeat.',
  },
  OO_BODY_TOO_LARGE: {
    title: 'The body is too large',
    status: [413],
    about: 'It has more bytes than the call takes.',
  },
  OO_TOO_MANY_TRIES: {
    title: 'Too many wrong tokens',
    status: [429],
    about: 'They come from one address. Wait for as long as Retry-After says.',
  },
  OO_TOO_MANY_REQUESTS: {
    title: 'Too many requests',
    status: [429],
    about: 'They come from one address. Wait for as long as Retry-After says; the setting is apiRequestsPerMinute.',
  },
  OO_REGISTRY_FULL: {
    title: 'The registry is full',
    status: [429],
    about: 'There are as many instances, or definitions, as the server takes.',
  },
  OO_INTERNAL: {
    title: 'The admin API failed',
    status: [500],
    about: "A fault of the program. The server's log names the cause; traffic goes on.",
  },
  OO_BAD_DEFINITION: {
    title: 'The service would not be usable',
    status: [409],
    about: 'What a deploy, a pause or a stop would make of the definition is refused. Nothing was changed.',
  },
  OO_BUSY: {
    title: 'Another deploy runs',
    status: [409],
    about: 'One deploy at a time for a name. Wait for its end, or end it.',
  },
  OO_CANCELLED: {
    title: 'The deploy was ended',
    status: [409],
    about:
      'Who had asked for it left, or somebody ended it, before the new targets took the traffic. Nothing was changed.',
  },
  OO_HOST_TAKEN: {
    title: 'The host leads elsewhere',
    status: [409],
    about: 'A route of this id is there, and leads to something else than the service.',
  },
  OO_NO_CANARY: {
    title: 'There is no canary',
    status: [409],
    about: 'A deploy without targets gives the canary that is there another part of the requests; there is none.',
  },
  OO_NO_PREVIOUS: {
    title: 'There is nothing to go back to',
    status: [409],
    about: 'The route or the service has not been deployed since it was saved, so that no target before is known.',
  },
  OO_NO_ROUTES: {
    title: 'The service is deployed, its routes are not',
    status: [409],
    about: 'The routes that should lead to it could not be made. Save them.',
  },
  OO_UNHEALTHY: {
    title: 'The new targets did not get healthy',
    status: [409],
    about: 'They did not pass their check in time. Nothing was changed; traffic goes on as before.',
  },
  OO_STORE_KEY: {
    title: 'The encryption key does not fit',
    status: [400, 503],
    about: 'The key that was given is no good (400), or not the one that the database was sealed with (503).',
  },
  OO_STORE_BUSY: {
    title: 'The database is busy',
    status: [503],
    about: 'Another program holds it. Try again; traffic goes on.',
  },
  OO_STORE_FULL: {
    title: 'The disk is full',
    status: [503],
    about: 'The change was not stored. Free some space; traffic goes on.',
  },
  OO_STORE_READONLY: {
    title: 'The database can not be written',
    status: [503],
    about: "Its file, or its directory, is not this user's to write.",
  },
  OO_STORE_UNREACHABLE: {
    title: 'The database can not be reached',
    status: [503],
    about: 'It is a server that does not answer. Traffic goes on; changes wait until it is back.',
  },
  OO_STORE_REFUSED: {
    title: 'The database refused this server',
    status: [503],
    about: 'The token that this server has for it is not good, or not for writing: --db-token, OO_DB_TOKEN.',
  },
  OO_STORE_UNOPENABLE: {
    title: 'The database can not be opened',
    status: [503],
    about: "Its file is gone, or not this user's to open.",
  },
  OO_STORE_LOCKED: {
    title: 'Another server has the database',
    status: [503],
    about: 'A process holds it for itself: end that one, or name another database.',
  },
  OO_STORE_NEWER: {
    title: 'A later oo has written the database',
    status: [503],
    about: 'Run that one, or name another database.',
  },
  OO_STORE_FOREIGN: {
    title: "The database is another program's",
    status: [503],
    about: 'Its tables are not those of oo. Name another one.',
  },
  OO_STORE_CORRUPT: {
    title: 'The database is damaged',
    status: [503],
    about: 'Restore a backup: `oo restore FILE`.',
  },
  OO_STORE_FAILED: {
    title: 'The database could not do it',
    status: [503],
    about: "The server's log has its words.",
  },
};

/** Of a code that the table has not, too: by its status. */
export function kindOf(code: string, status: number): ProblemKind {
  const known = Object.hasOwn(problemKinds, code) ? problemKinds[code] : undefined;
  return known ?? { title: statusTitles[status] ?? 'The request was refused', status: [status], about: '' };
}

const statusTitles: Readonly<Record<number, string>> = {
  400: 'The request is not as the call expects it',
  401: 'A token is needed',
  403: 'This is not allowed',
  404: 'There is no such thing',
  409: 'It does not fit what is there',
  412: 'Somebody else was first',
  413: 'The body is too large',
  429: 'Too many requests',
  500: 'The admin API failed',
  503: 'The database can not take it now',
};
