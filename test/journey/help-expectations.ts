/** How an example of --help is run, and ends. */
export interface Expected {
  /** Exit codes that it may end with, null for the signal of `until`; default 0. */
  readonly codes?: readonly (number | null)[];
  /** What it prints. */
  readonly says?: RegExp;
  /**
   * Where: beside the server that has what examples speak of (default); with a state directory that nobody holds (`cold`);
   * with none yet, and free ports for a server (`empty`).
   */
  readonly at?: 'cold' | 'empty';
  /** Lines before it. */
  readonly before?: readonly string[];
  /** Lines after it. */
  readonly after?: readonly string[];
  /** Lines while it runs, again and again until it ends, or prints what `until` says. */
  readonly during?: readonly string[];
  /** It runs until a signal: SIGTERM is sent as soon as it prints this. */
  readonly until?: RegExp;
  /** Standard input; TOKEN is an admin's. */
  readonly input?: string;
}

const machine = 'changes what this machine trusts; test/journey/https-local.test.ts runs it in a namespace';
const systemd = "changes this machine's systemd; test/cli/service-command.test.ts has it";

/** Examples that are not run, each with the reason: they are parsed, with a trailing --help. */
export const unrunnable: Readonly<Record<string, string>> = {
  'oo trust': machine,
  'oo trust --file oo-local-ca.crt': machine,
  'oo untrust': machine,
  'sudo oo service install': systemd,
  'sudo oo service install --user www-data -- --email ops@example.com --access-log /var/log/oo.log': systemd,
  'sudo oo service uninstall': systemd,
  'OO_DB=libsql://routes.example.com OO_DB_TOKEN=… oo serve': 'needs a database on the internet',
};

const saved = 'oo cert save app.example.com --cert fullchain.pem --key privkey.pem';
const newHost = 'oo route save --id h$RANDOM.example.net --target 127.0.0.1:9';
const changed = ['oo route save --id during.example.com --target 127.0.0.1:9', 'oo route rm during.example.com'];
const rolledOut = ['oo deploy web --target http://127.0.0.1:3001', 'oo deploy web --target http://127.0.0.1:3000'];

/** Examples that need more than to be run, or that end with another code than 0. */
export const expectations: Readonly<Record<string, Expected>> = {
  'oo diff ./config': { codes: [1], says: /config\.example\.com/ },
  'oo diff ./config --owner shop --prune': { codes: [1], says: /shop\.example\.com/ },
  'oo diff @5 @9': { codes: [1] },
  'oo diff @5': { codes: [1] },
  'oo export ./config': { before: ['oo apply ./config'] },
  'oo rollback web': { before: rolledOut },
  'oo rollback app.example.com --force': { before: ['oo deploy app.example.com --target http://127.0.0.1:3001'] },
  'oo resume web': { before: ['oo pause web'] },
  'oo instance register --slug user-svc --url http://127.0.0.1:3000': { until: /registered/ },
  'oo instance register --slug user-svc --url http://127.0.0.1:3000 -- node server.js': { until: /registered/ },
  'OO_TOKEN=oo_… oo instance register --url http://10.0.0.2:3000 --server http://10.0.0.1:11337': {
    until: /registered/,
  },
  'oo backup oo.backup': { before: ['rm oo.backup'] },
  'oo backup --offline oo.backup': { at: 'cold', before: ['rm oo.backup'] },
  'oo restore --offline oo.backup': { at: 'cold', before: ['rm oo.backup', 'oo backup --offline oo.backup'] },
  'oo events': { codes: [null], during: changed, until: /during/ },
  'oo events -o json': { codes: [null], during: changed, until: /during/ },
  'oo events --kind health --kind certificate': { codes: [null], during: [newHost], until: /\.example\.net/ },
  'oo events --kind certificate -n 1': { during: [newHost] },
  'oo deploy web --target 127.0.0.1:3001 --host app.example.com': { before: ['oo route rm app.example.com'] },
  'oo deploy web --target http://127.0.0.1:3001 --percent 10': {
    before: ['oo deploy web --target http://127.0.0.1:3000'],
  },
  'oo explain http://127.0.0.1:11337/user-svc/health': {
    before: ['oo instance save --slug user-svc --url http://127.0.0.1:3000 --ttl 1h'],
  },
  "oo cert save '*.example.com' --cert cert.pem --chain chain.pem --key privkey.pem": {
    after: ["oo cert rm '*.example.com'"],
  },
  'oo cert renew app.example.com': { before: [saved, 'oo cert rm app.example.com'] },
  'oo cert renew app.example.com --no-wait': { before: [saved, 'oo cert rm app.example.com'] },
  'oo cert rm old.example.com': {
    before: ['oo cert save old.example.com --cert fullchain.pem --key privkey.pem'],
  },
  'oo cert raw app.example.com > fullchain.pem': { before: [saved] },
  'oo cert raw app.example.com --with-key': { before: [saved], says: /PRIVATE KEY/ },
  // What these find depends on this machine: what DNS says, how many files may be open.
  'oo cert check app.example.com': { codes: [0, 1], says: /ok +route/ },
  'oo doctor': { codes: [0, 1], says: /ok +server/ },
  'oo doctor -e prod': { codes: [0, 1], says: /ok +database/ },
  'oo doctor -o json': { codes: [0, 1], says: /"what": "server"/ },
  'oo demo': { at: 'empty', until: /http/ },
  'oo serve': { at: 'empty', until: /oo listens/ },
  'oo serve --http-port 8080 --test-mode': { at: 'empty', until: /oo listens/ },
  'oo login prod': { input: 'TOKEN\n' },
  'oo hash': { input: 'correct horse battery\n' },
};
