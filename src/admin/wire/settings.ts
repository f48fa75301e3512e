import * as v from 'valibot';
import { settingBounds } from '../settings.ts';
import { about, maybe, whole } from './common.ts';

const bounded = (name: keyof typeof settingBounds) => whole(settingBounds[name].least, settingBounds[name].most);

/** What is set for all servers of a database. */
export const settingsWire = about(
  v.strictObject({
    historyRevisions: maybe(bounded('historyRevisions'), 'How many revisions of the history are kept.', {
      default: 1_000,
    }),
    recentRequests: maybe(
      bounded('recentRequests'),
      'How many of the requests last seen a worker keeps, for `oo apply --dry-run`; 0: none.',
      { default: 2_000 },
    ),
    apiRequestsPerMinute: maybe(
      bounded('apiRequestsPerMinute'),
      'Requests that the API takes from one address in a minute.',
      { default: 6_000 },
    ),
    auditEntries: maybe(bounded('auditEntries'), 'How many entries the audit log keeps.'),
  }),
  'What is set for all servers of a database, in force at once. What is left out has its default.',
);
