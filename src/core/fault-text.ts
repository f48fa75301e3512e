import type { RouteFault } from './types.ts';

/** All faults in one line, each with its route, for errors of programs that have no files and lines to point at. */
export function faultText(faults: readonly Pick<RouteFault, 'id' | 'message'>[]): string {
  const tell = ({ id, message }: Pick<RouteFault, 'id' | 'message'>) =>
    message.startsWith('route ') ? message : `route '${id}': ${message}`;
  return faults.map(tell).join('; ');
}
