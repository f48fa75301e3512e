import http from 'node:http';
import type { Socket } from 'node:net';
import { maxProbeBody } from '../core/health-check.ts';
import { authorityOf, type ProbeContext, probeAgent } from './probe-types.ts';

const maxHeaderSize = 16_384;

/** Asks over HTTP/1.1, strictly. The body is read only where the check wants something in it. */
export function askHttp(socket: Socket, context: ProbeContext): void {
  const { check, settle, fail } = context;
  const request = http.request({
    // Without an agent: with one, it would be asked for the connection.
    createConnection: () => socket,
    method: check.method,
    // The target's own path is where requests go; a check's path is all of it.
    path: check.path,
    setHost: false,
    maxHeaderSize,
    headers: { host: authorityOf(context), 'user-agent': probeAgent, accept: '*/*', connection: 'close' },
  });
  request.on('error', fail);
  // Whoever switches protocols has not answered.
  request.on('upgrade', (response) => settle({ status: response.statusCode ?? 0 }));
  request.on('response', (response) => {
    const status = response.statusCode ?? 0;
    if (check.bodyContains === '') return settle({ status });
    const chunks: Buffer[] = [];
    let length = 0;
    const done = () => settle({ status, body: Buffer.concat(chunks).toString('utf8', 0, maxProbeBody) });
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= maxProbeBody) done();
    });
    response.on('error', fail);
    response.on('end', done);
  });
  request.end();
}
