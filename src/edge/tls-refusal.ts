/** TLS alerts that we send before OpenSSL has taken over (RFC 8446 §6.2). */
export const alerts = { decodeError: 50, internalError: 80, unrecognizedName: 112 } as const;

/** A fatal alert as its record: in the clear, since there are no keys yet. */
export function alertRecord(alert: number): Buffer {
  return Buffer.from([21, 3, 3, 0, 2, 2, alert]);
}

const text = 'The plain HTTP request was sent to the HTTPS port: use https:// in the address\n';

/** What a client gets that speaks HTTP without TLS, as nginx has it. */
export const plainHttpAnswer: Buffer = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  'latin1',
);

/** Whether bytes look like the beginning of an HTTP request: a method is made of capitals. */
export function looksLikeHttp(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes[0] >= 0x41 && bytes[0] <= 0x5a;
}
