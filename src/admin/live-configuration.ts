import type { Route, RouteChange } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type { ChangeOptions, ConfigurationOptions, Conflict } from './configuration-types.ts';
import { planSettings } from './plan.ts';
import type { ResourceChange, RevisionInfo, StoredSettings } from './resources.ts';
import { type Fault, readRoutes } from './schema.ts';
import { Snapshot } from './snapshot.ts';
import type { Commit, StoredChanges } from './store.ts';

/** How often a change is made again after other servers came first. */
const maxConflicts = 10;
/** Past so many revisions at once of other servers, they are told as one. */
const mostTold = 20;

/** What a change comes to: `changes`, or why it can't be. */
type Planned = { readonly changes: readonly ResourceChange[] } | { readonly faults: readonly Fault[] };

/**
 * The configuration in force, and the order of its changes: one is planned, stored, swapped in and published before the next begins.
 * Other servers' changes come in between, through the store's `watch`.
 */
export class LiveConfiguration {
  readonly #options: ConfigurationOptions;
  readonly #onError: (error: Error) => void;
  readonly #stop: (() => void) | undefined;
  #snapshot: Snapshot;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: ConfigurationOptions, snapshot: Snapshot) {
    this.#options = options;
    this.#onError = options.onError ?? (() => {});
    this.#snapshot = snapshot;
    options.onSettings?.(snapshot.settings);
    this.#stop = options.store.watch?.(
      () => this.revision,
      () => this.refresh(),
      this.#onError,
    );
  }

  /** Loads what is stored. @throws StoreFailure */
  static async open(options: ConfigurationOptions): Promise<LiveConfiguration> {
    const { store, onError = () => {} } = options;
    return new LiveConfiguration(options, Snapshot.of(await store.load(), onError));
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get revision(): number {
    return this.#snapshot.table.revision;
  }

  /** Does something when all that was begun before is done. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** Takes over what other servers have stored. */
  refresh(): Promise<void> {
    return this.inTurn(() => this.#catchUp());
  }

  async close(): Promise<void> {
    this.#stop?.();
    await this.#turn;
  }

  /**
   * Plans against what is there now and stores; where another server came first, catches up and plans again. To be called in turn.
   * @param plan what it finds faults in is not stored
   * @param prepare done once, before the first attempt to store
   */
  async change<R extends Planned>(
    options: ChangeOptions,
    plan: (present: Snapshot) => R | Promise<R>,
    prepare?: () => Promise<unknown>,
  ): Promise<R | Conflict> {
    const { store } = this.#options;
    let isPrepared = prepare === undefined;
    // The caller may have read a revision from another server that this one has yet to see.
    if (this.#blocked(options) && store.watch) await this.#catchUp();
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      const conflict = this.#blocked(options);
      if (conflict) return conflict;
      const planned = await plan(this.#snapshot);
      if ('faults' in planned || options.dryRun === true) return planned;
      const { changes } = planned;
      if (!isPrepared) await prepare?.();
      isPrepared = true;
      if (changes.length === 0) return planned;
      const { actor, from, reason } = options;
      const stored = await store.commit(this.#commitOf(changes, { actor, from, reason }));
      if ('revision' in stored) {
        const made = { ...stored, actor, from: from ?? '', reason: reason ?? '' };
        await this.#show(this.#snapshot.next(stored.revision, changes), changes);
        this.#tell({ ...made, changes: changes.length }, changes);
        return planned;
      }
      await this.#catchUp();
    }
    return { conflict: this.revision };
  }

  #blocked({ ifMatch }: ChangeOptions): Conflict | undefined {
    return ifMatch === undefined || ifMatch === this.revision ? undefined : { conflict: this.revision };
  }

  #commitOf(changes: readonly ResourceChange[], by: Pick<Commit, 'actor' | 'from' | 'reason'>): Commit {
    const { save, remove } = listsOf<Route>(changes, 'route');
    const settings = changes.find(({ kind }) => kind === 'settings');
    const next = settings === undefined ? this.#snapshot.settings : ((settings.after ?? {}) as StoredSettings);
    const { historyRevisions } = next;
    return {
      ...by,
      ...{ base: this.revision, save, remove, services: listsOf<Definition>(changes, 'service') },
      ...(settings === undefined ? undefined : { settings: next }),
      ...(historyRevisions === undefined ? undefined : { historyRevisions }),
    };
  }

  /** Swaps the next one in and publishes what led to it. */
  async #show(next: Snapshot, changes: readonly ResourceChange[]): Promise<void> {
    const { publish, publishServices, onSettings } = this.#options;
    const base = this.revision;
    this.#snapshot = next;
    const has = (kind: string) => changes.some((change) => change.kind === kind);
    try {
      if (has('settings')) onSettings?.(next.settings);
      if (has('service')) await publishServices?.(next.services());
      // Without any route, too: workers go by an unbroken row of revisions.
      await publish({ revision: next.table.revision, base, ...listsOf<Route>(changes, 'route') } satisfies RouteChange);
    } catch (error) {
      // It is stored and in force here: the change stands.
      this.#onError(error as Error);
    }
  }

  async #catchUp(): Promise<void> {
    const { store, onError = () => {} } = this.#options;
    const base = this.revision;
    const stored = await store.changesSince(base);
    if (stored !== 'too old' && stored.revision === base) return;
    // Another version of oo may have stored what this one refuses.
    const isKnown = stored !== 'too old' && 'routes' in readRoutes(stored.save);
    const next = isKnown ? undefined : Snapshot.of(await store.load(), onError);
    const changes = next === undefined ? this.#changesOf(stored as StoredChanges) : this.#snapshot.changesTo(next);
    await this.#show(next ?? this.#snapshot.next((stored as StoredChanges).revision, changes), changes);
    if (this.#options.onChange === undefined) return;
    await this.#tellOthers(next === undefined ? (stored as StoredChanges).made : [], changes);
  }

  #changesOf({ save, remove, services, settings }: StoredChanges): ResourceChange[] {
    const present = this.#snapshot;
    const before = (kind: ResourceChange['kind'], id: string) =>
      (kind === 'route' ? (present.route(id) ?? present.leftOut(id)) : present.service(id)) ?? null;
    const changes = [
      ...save.map(
        (after): ResourceChange => ({ kind: 'route', id: after.id, before: before('route', after.id), after }),
      ),
      ...remove.map((id): ResourceChange => ({ kind: 'route', id, before: before('route', id), after: null })),
      ...services.save.map(
        (after): ResourceChange => ({ kind: 'service', id: after.id, before: before('service', after.id), after }),
      ),
      ...services.remove.map(
        (id): ResourceChange => ({ kind: 'service', id, before: before('service', id), after: null }),
      ),
    ];
    return [...changes, ...planSettings(settings, present)];
  }

  /** Each revision by itself, as far as the log has it; else all of them as the last. */
  async #tellOthers(made: readonly RevisionInfo[], changes: readonly ResourceChange[]): Promise<void> {
    const { history } = this.#options.store;
    try {
      if (made.length > 1 && made.length <= mostTold) {
        const list = await Promise.all(made.map(({ revision }) => history.revision(revision)));
        if (list.every((one) => one !== undefined)) {
          for (const { resources, ...info } of list) this.#tell(info, resources);
          return;
        }
      }
      const { revision } = this;
      const last = made.at(-1) ?? (await history.revision(revision));
      const unknown = { revision, at: Date.now(), actor: '', from: '', reason: '', changes: changes.length };
      this.#tell(last?.revision === revision ? last : unknown, changes);
    } catch (error) {
      // They are in force: only who made them is not known now.
      this.#onError(error as Error);
    }
  }

  #tell({ revision, at, actor, from, reason }: RevisionInfo, changes: readonly ResourceChange[]): void {
    try {
      this.#options.onChange?.({ revision, at, actor, from, reason, changes });
    } catch (error) {
      this.#onError(error as Error);
    }
  }
}

function listsOf<T>(changes: readonly ResourceChange[], of: ResourceChange['kind']): { save: T[]; remove: string[] } {
  const [save, remove]: [T[], string[]] = [[], []];
  for (const { kind, id, after } of changes) {
    if (kind !== of) continue;
    if (after === null) remove.push(id);
    else save.push(after as T);
  }
  return { save, remove };
}
