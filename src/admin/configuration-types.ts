import type { RouteTable } from '../core/table.ts';
import type { Route, RouteChange } from '../core/types.ts';
import type { Definition } from '../services/types.ts';
import type { ProveHandlers } from './handler-proof.ts';
import type {
  Applied,
  ApplyRefused,
  ApplyRequest,
  History,
  OwnCertificates,
  ResourceChange,
  RevisionInfo,
  StoredSettings,
} from './resources.ts';
import type { Fault } from './schema.ts';
import type { By, ConfigurationStore } from './store.ts';

/** By whom, and under which condition. */
export interface ChangeOptions extends By {
  /** Change only if this still is the revision. */
  readonly ifMatch?: number;
  /** Plan and prove, but store nothing: what is told is what would be done. Default false. */
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends ChangeOptions {
  /** Without it, a request with certificates is refused. */
  readonly certificates?: OwnCertificates;
}

/** The routes were refused; nothing was stored. */
export interface Refused {
  readonly faults: readonly Fault[];
}

/** `ifMatch` was another revision than this one; nothing was stored. */
export interface Conflict {
  readonly conflict: number;
}

/** Ids in normal form. Without any change the revision stays what it was. */
export interface Saved {
  readonly revision: number;
  readonly routes: readonly Route[];
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly unchanged: readonly string[];
  readonly changes: readonly ResourceChange[];
}

export interface SavedServices extends Omit<Saved, 'routes'> {
  readonly services: readonly Definition[];
}

export interface Removed {
  readonly revision: number;
  readonly removed: readonly string[];
  /** Ids that nothing had, as they were given. */
  readonly missing: readonly string[];
  readonly changes: readonly ResourceChange[];
}

/** The configuration of this server: what is stored, and the only way to change it. */
export interface Configuration {
  /** All routes, compiled, with their revision. Replaced by the next one, never changed. */
  readonly table: RouteTable;
  /** All routes, by id. */
  list(): readonly Route[];
  get(id: string): Route | undefined;
  /**
   * Proves, stores and publishes. Resolves when every worker has it. Rejects with a StoreFailure.
   * A route without `rollout` keeps what deploys, pauses and stops have made of the present one: see `keepRollout`.
   */
  save(routes: readonly unknown[], options: ChangeOptions): Promise<Saved | Refused | Conflict>;
  /**
   * Changes one route by what it is at that moment, so that no change of others is lost. Otherwise as `save`; but what it is given is what is
   * stored, a rollout that is left out is gone.
   * @param change is called again where another server came first; what it throws rejects, and nothing is stored
   * @returns undefined if there is no such route
   */
  update(
    id: string,
    change: (route: Route) => Route,
    options: ChangeOptions,
  ): Promise<Saved | Refused | Conflict | undefined>;
  /** Removes the routes with these ids; ids that none has are no fault. Rejects with a StoreFailure. */
  remove(ids: readonly string[], options: ChangeOptions): Promise<Removed | Conflict>;
  /** Definitions of services, by id. */
  services(): readonly Definition[];
  /** The very object until another is saved. */
  service(id: string): Definition | undefined;
  settings(): StoredSettings;
  /** As `save`, for definitions. */
  saveServices(services: readonly unknown[], options: ChangeOptions): Promise<SavedServices | Refused | Conflict>;
  /** As `update`, but what is not there yet is made. @param change gets undefined then */
  updateService(
    id: string,
    change: (definition: Definition | undefined) => Definition,
    options: ChangeOptions,
  ): Promise<SavedServices | Refused | Conflict>;
  removeServices(ids: readonly string[], options: ChangeOptions): Promise<Removed | Conflict>;
  /**
   * Proves all of a request, and stores all of it as one revision, or nothing. Its certificates come first: one that no route uses changes nothing.
   * Something that belongs to another owner than the request, or the thing itself, says is a fault.
   */
  apply(request: ApplyRequest, options: ApplyOptions): Promise<Applied | ApplyRefused | Conflict>;
  /**
   * Makes everything as it was at a revision, as a new one. What a later oo, or a later setting, would refuse is a fault.
   * @returns undefined if that revision is not kept, or not there yet
   */
  rollback(revision: number, options: ChangeOptions): Promise<Applied | ApplyRefused | Conflict | undefined>;
  readonly history: History;
  /** Takes over what other servers have stored, now. Rejects with a StoreFailure. */
  refresh(): Promise<void>;
  /** Stops following other servers, and resolves when the changes under way are done. */
  close(): Promise<void>;
}

/** A revision that is in force now. */
export interface ConfigurationChange extends Omit<RevisionInfo, 'changes'> {
  readonly changes: readonly ResourceChange[];
}

export interface ConfigurationOptions {
  readonly store: ConfigurationStore;
  /** Hands a stored change to the workers; resolves when all of them have it. Called for one change at a time, in order. */
  readonly publish: (change: RouteChange) => Promise<void>;
  /** Hands the definitions as they are now to the registry; resolves when all workers have them. Likewise. */
  readonly publishServices?: (services: readonly Definition[]) => Promise<void>;
  /** Told of the stored settings: at the start, and after every change of them. */
  readonly onSettings?: (settings: StoredSettings) => void;
  /** Told of each revision that is in force now, also of those of other servers. */
  readonly onChange?: (change: ConfigurationChange) => void;
  /** Asked of handlers that a change brings, before it is stored, dry runs included; not of those that are stored. Default: they are taken as they are. */
  readonly proveHandlers?: ProveHandlers;
  /** Told of what went wrong where nobody waits for an answer. Default: nothing. */
  readonly onError?: (error: Error) => void;
}
