import { isSea } from 'node:sea';
import { draft } from '../core/routes.ts';
import { type Draft, emptyTable } from '../core/table.ts';
import { Asking } from './asking.ts';
import { useDirectWrite } from './direct-write.ts';
import { Edge } from './edge.ts';
import { logError, openAccessLog } from './log.ts';
import type { FromWorker, Listener, TlsChange, ToWorker } from './messages.ts';
import type { EdgeSettings } from './settings.ts';
import { useTlsHandles } from './tls-handles.ts';

/** Drain time when the main process is gone: someone will start it again, and wants the ports. */
const orphanDrainMs = 10_000;

/**
 * Runs a data worker: a child process that is told everything by messages, and never touches the database.
 * It starts to listen when it has its settings and its first whole route table.
 */
export function runWorker(): void {
  let edge: Edge | undefined;
  let settings: EdgeSettings | undefined;
  let next: Draft | undefined;
  let listening: Promise<boolean> | undefined;
  let ending = false;
  const asking = new Asking((id, question) => send({ type: 'ask', id, question }));

  process.on('message', (message: ToWorker) => {
    switch (message.type) {
      case 'start':
        // Sent again with a whole table: the edge that listens stays.
        if (edge !== undefined) return;
        settings = message.settings;
        // The executable brings the one Node that this way is tested with.
        if (isSea() && useDirectWrite()) useTlsHandles();
        edge = new Edge(settings, { access: openAccessLog(settings.accessLog), error: logError });
        edge.ask = asking.ask;
        edge.joinWorkers(message.place, message.secrets);
        edge.onSuspect = (suspicion) => send({ type: 'suspect', suspicion });
        edge.onOutcomes = (counts) => send({ type: 'outcomes', counts });
        return;
      case 'pools':
        edge?.changePools(message.change, message.whole);
        return send({ type: 'pools-applied', number: message.number });
      case 'figures':
        if (edge !== undefined) send({ type: 'figures', id: message.id, figures: edge.figures() });
        return;
      case 'recent':
        if (edge !== undefined) send({ type: 'recent', id: message.id, heads: edge.recent.list() });
        return;
      case 'keep-recent':
        return edge?.recent.resize(message.size);
      case 'tls':
        if (edge !== undefined) applyTls(edge, message.change);
        return send({ type: 'tls-applied', number: message.number });
      case 'handler-hung':
        return edge?.handlers.onHung(message.key);
      case 'answer':
        return asking.answer(message.id, message.yes);
      case 'routes':
        return void applyPart(message);
      case 'drain':
        return void end(message.timeoutMs);
    }
  });
  process.on('disconnect', () => void end(orphanDrainMs));
  // The main process hears the signals and says when to drain; a terminal sends Ctrl-C to the whole group.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});

  async function applyPart(part: ToWorker & { type: 'routes' }): Promise<void> {
    if (edge === undefined || settings === undefined) return;
    next ??= draft(part.whole ? emptyTable() : edge.table);
    for (const id of part.remove) next.remove(id);
    for (const route of part.save) next.save(route);
    if (!part.last) return;
    edge.table = next.finish(part.revision);
    next = undefined;
    // A change may come before the first table has led to a listener: both are said to be applied then, in order.
    listening ??= listen(edge, settings);
    if (await listening) send({ type: 'applied', revision: part.revision });
  }

  async function end(timeoutMs: number): Promise<void> {
    if (ending) process.exit(0);
    ending = true;
    await edge?.drain(timeoutMs);
    process.exit(0);
  }
}

function applyTls(edge: Edge, change: TlsChange): void {
  edge.certificates.remove(change.remove);
  edge.certificates.save(change.save);
  edge.challenges.remove(change.endedChallenges);
  edge.challenges.save(change.challenges);
  if (change.ticketKeys !== null) edge.setTicketKeys(change.ticketKeys);
}

async function listen(edge: Edge, { http, https, service }: EdgeSettings): Promise<boolean> {
  let listener: Listener = 'http';
  try {
    const port = await edge.listen(http, true);
    listener = 'https';
    const httpsPort = https === null ? 0 : await edge.listenTls(https, true);
    listener = 'service';
    if (service !== null) await edge.listenService(service, true);
    send({ type: 'listening', port, httpsPort });
    return true;
  } catch (error) {
    const { code = 'EUNKNOWN', message } = error as NodeJS.ErrnoException;
    send({ type: 'failed', code, message, listener });
    return false;
  }
}

function send(message: FromWorker): void {
  if (process.connected) process.send?.(message);
}
