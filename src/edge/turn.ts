/** Something that gathers what it has to write, and writes it once a turn. */
export interface Flushable {
  flush(): void;
}

let waiting: Flushable[] = [];
let spare: Flushable[] = [];

/** Calls `flush` when all sockets that were readable in this turn have been read. To be asked for once until then. */
export function flushLater(each: Flushable): void {
  if (waiting.push(each) === 1) setImmediate(flushAll);
}

function flushAll(): void {
  const now = waiting;
  waiting = spare;
  spare = now;
  for (let i = 0; i < now.length; i++) now[i].flush();
  now.length = 0;
}
