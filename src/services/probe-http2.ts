import http2 from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { maxProbeBody } from '../core/health-check.ts';
import { grpcHealthPath, grpcHealthRequest, readGrpcHealth } from '../core/health-grpc.ts';
import { authorityOf, type ProbeContext, probeAgent } from './probe-types.ts';

/** The most of a gRPC answer, bytes: its message has two. */
const maxGrpcBody = 4_096;
const maxSessionMemory = 1;

/** Asks an `h2c://` target what `askHttp` asks others. */
export function askHttp2(socket: Socket, context: ProbeContext): void {
  const { check, settle } = context;
  const headers = { ':method': check.method, ':path': check.path, accept: '*/*' };
  const wanted = check.bodyContains === '' ? 0 : maxProbeBody;
  ask(socket, context, { headers, body: undefined, wanted }, ({ status, body }) =>
    settle({ status, body: body.toString('utf8', 0, maxProbeBody) }),
  );
}

/** Asks grpc.health.v1.Health/Check. */
export function askGrpc(socket: Socket, context: ProbeContext): void {
  const { check, settle, fail } = context;
  if (socket instanceof TLSSocket && socket.alpnProtocol !== 'h2')
    return fail(new Error('it speaks no HTTP/2, which gRPC needs'));
  const content = { 'content-type': 'application/grpc', te: 'trailers' };
  const headers = { ':method': 'POST', ':path': grpcHealthPath, ...content };
  const body = grpcHealthRequest(check.grpcService);
  ask(socket, context, { headers, body, wanted: maxGrpcBody }, (answer) => {
    // The trailers, or a head that is all there is.
    const grpcStatus = answer.grpcStatus === undefined ? -1 : Number(answer.grpcStatus);
    settle({ status: answer.status, grpcStatus, serving: readGrpcHealth(answer.body) });
  });
}

interface Question {
  readonly headers: http2.OutgoingHttpHeaders;
  readonly body: Uint8Array | undefined;
  /** How much of the body is of interest, bytes; 0: the head is all that is waited for. */
  readonly wanted: number;
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly grpcStatus: string | undefined;
}

function ask(socket: Socket, context: ProbeContext, question: Question, answer: (answer: Answer) => void): void {
  const { target, fail, settle } = context;
  const session = http2.connect(`${target.tls ? 'https' : 'http'}://probe.invalid`, {
    createConnection: () => socket,
    maxSessionMemory,
    settings: { enablePush: false },
  });
  session.on('error', fail);
  // A session that is left to itself would keep the process up.
  socket.on('close', () => session.destroy());
  const named = { ':authority': authorityOf(context), ':scheme': target.tls ? 'https' : 'http' };
  const stream = session.request(
    { ...question.headers, ...named, 'user-agent': probeAgent },
    { endStream: question.body === undefined },
  );
  let status = 0;
  let grpcStatus: string | undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  const note = (headers: http2.IncomingHttpHeaders) => {
    const field = headers['grpc-status'];
    if (field !== undefined) grpcStatus = String(field);
  };
  const done = () => answer({ status, body: Buffer.concat(chunks), grpcStatus });
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0;
    note(headers);
    if (question.wanted === 0) done();
  });
  stream.on('trailers', note);
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= question.wanted) done();
  });
  stream.on('error', fail);
  stream.on('end', () => (status === 0 ? settle({ error: 'closed' }) : done()));
  if (question.body !== undefined) stream.end(question.body);
}
