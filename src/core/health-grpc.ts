/** The path of the standard health service; the request is a POST with `content-type: application/grpc` and `te: trailers`. */
export const grpcHealthPath = '/grpc.health.v1.Health/Check';

/**
 * The body of a gRPC health request: a length-prefixed HealthCheckRequest, whose field 1 is the service.
 * @param service '' for the server as a whole; up to 255 characters (`healthCheckFaults`)
 */
export function grpcHealthRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const length: number[] = [];
  for (let left = name.length; ; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
    if (left <= 127) break;
  }
  const message = name.length === 0 ? [] : [0x0a, ...length, ...name];
  return Uint8Array.from([0, 0, 0, message.length >>> 8, message.length & 255, ...message]);
}

/**
 * The status in the body of a gRPC health answer: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN; fields that are not
 * known are passed over, as protobuf wants.
 * @returns -1 if it is cut short, compressed, or no protobuf
 */
export function readGrpcHealth(body: Uint8Array): number {
  if (body.length < 5 || body[0] !== 0) return -1;
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (length > body.length - 5) return -1;
  const end = 5 + length;
  // An enum's default is not sent.
  let serving = 0;
  let at = 5;
  const readNumber = (): number => {
    let value = 0;
    for (let scale = 1; at < end && scale < 2 ** 63; scale *= 128) {
      const byte = body[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < end) {
    const tag = readNumber();
    const wire = tag % 8;
    if (wire === 0) {
      const value = readNumber();
      if (Number.isNaN(value)) return -1;
      if (tag === 8) serving = value;
    } else if (wire === 1) at += 8;
    else if (wire === 2) {
      // Not in one statement: reading moves `at`.
      const skipped = readNumber();
      at += skipped;
    } else if (wire === 5) at += 4;
    else return -1;
    // Also where a length was no number.
    if (!(at <= end)) return -1;
  }
  return serving;
}
