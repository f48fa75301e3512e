import type { ServiceOptions } from '../src/core/pool-types.ts';
import { builtInSegments } from '../src/core/service-path.ts';
import type { Supervisor } from '../src/edge/supervisor.ts';
import type { Services, ServicesOptions } from '../src/services/services.ts';
import type { Definition } from '../src/services/types.ts';

export interface ServicesOfServer
  extends Pick<
    ServicesOptions,
    'stores' | 'table' | 'definitions' | 'self' | 'onFlip' | 'shared' | 'ownPorts' | 'log'
  > {
  readonly supervisor: Pick<Supervisor, 'publishPools' | 'onSuspect' | 'onOutcomes' | 'pools'>;
}

/**
 * Starts the registry, the probes and the judge of outliers for a server: what is stored is with the supervisor when this resolves. Call it
 * before the supervisor's `start`.
 * @throws StoreFailure
 */
export async function startServices({ supervisor, ...server }: ServicesOfServer): Promise<Services> {
  const { startServices: start } = await import('../src/services/services.ts');
  const { readServiceOptions } = await import('../src/admin/schema.ts');
  const optionsOf = (definition: Definition): ServiceOptions | string => {
    const read = readServiceOptions(definition.id, definition);
    return 'faults' in read ? read.faults.map(({ message }) => message).join('; ') : read.options;
  };
  const services = await start({
    ...server,
    reserved: builtInSegments,
    optionsOf,
    publish: (change) => supervisor.publishPools(change),
  });
  supervisor.onSuspect = services.suspect;
  supervisor.onOutcomes = services.outcomes;
  supervisor.pools.ejections = services.ejections;
  return services;
}
