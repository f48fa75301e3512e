/** Valid messages, and ways to break them. */

export const requestSeeds: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n',
  'GET /a/b?c=d HTTP/1.1\r\nHost: a.test:8080\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\nhello world',
  'POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b;c="d"\r\nhello\r\n0\r\nX-T: 1\r\nhost: b\r\n\r\n',
  'PUT http://b.test/x?y HTTP/1.1\r\nHost: a.test\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nContent-Length: 3\r\n\r\nabc',
  'GET / HTTP/1.0\r\n\r\n',
  'HEAD /index.html HTTP/1.0\r\nHost: [::1]:80\r\nConnection: keep-alive\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 1.1.1.1\r\nTE: trailers\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok',
  '\r\nDELETE /x HTTP/1.1\r\nHost: a.test\r\nX_Y: z\r\nCookie: a=b; c=d\r\n\r\n',
];

export const responseSeeds: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
  'HTTP/1.0 404 Not Found\r\nServer: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno',
  'HTTP/1.1 204 No Content\r\nSet-Cookie: a=b; Path=/\r\nConnection: keep-alive\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n',
  'HTTP/1.1 500\r\nContent-Length: 0\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n',
];

/** Bytes that parsers differ over. */
const odd = '\0\t\n\v\f\r\x1b !"#%\'()*+,-./0159:;<=>?@AFG[\\]^_`afgxz{|}~\x7f\x80\x85\xa0\xc0\xad\xff';

const splices = [
  ...[
    'Content-Length: 5\r\n',
    'Content-Length: 0\r\n',
    'content-length: 5,5\r\n',
    'Content-Length:\r\n',
    'Content-Length: +5\r\n',
  ],
  ...['Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: identity\r\n', 'Transfer-Encoding: chunked, chunked\r\n'],
  ...[
    'Transfer-Encoding:\r\n',
    'transfer-encoding: gzip\r\n',
    'Transfer-Encoding: gzip, chunked\r\n',
    'Transfer-Encoding : chunked\r\n',
  ],
  ...[
    'Host: b.test\r\n',
    'Host:\r\n',
    'Connection: close\r\n',
    'Connection: keep-alive\r\n',
    'Connection: upgrade\r\n',
    'Upgrade: h2c\r\n',
  ],
  ...[
    'Connection: content-length\r\n',
    'Expect: x\r\n',
    'Expect: 100-continue\r\n',
    'Upgrade: websocket\r\n',
    'Connection: transfer-encoding\r\n',
  ],
  ...[
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\r\n ',
    '\r\n\t',
    ':',
    ': ',
    ' :',
    '\r\n\r\n',
    '\n\n',
    '\r\r\n',
    '0\r\n\r\n',
    '0\r\n',
    '5\r\n',
    ';',
    '; ',
    ';a="',
    '"',
    '\\',
  ],
  ...[
    'HTTP/1.1',
    'HTTP/1.0',
    'HTTP/2.0',
    'http://',
    '//',
    '#',
    '%00',
    '*',
    'chunked',
    ',',
    '0x',
    '00',
    '-',
    '+',
    '\x0b',
    'A: b\r\n',
    'A\r\n',
  ],
];

/** A seed with one to four changes: bytes changed, put in, taken out, pieces and lines doubled, moved, spliced in. */
export function mutate(random: (n: number) => number, seeds: readonly string[]): string {
  let text = seeds[random(seeds.length)];
  for (let changes = 1 + random(4); changes > 0; changes--) text = change(random, text, seeds);
  return text;
}

function change(random: (n: number) => number, text: string, seeds: readonly string[]): string {
  const at = random(text.length + 1);
  const put = (piece: string, skip = 0, place = at) => text.slice(0, place) + piece + text.slice(place + skip);
  const byte = () => (random(3) ? odd[random(odd.length)] : String.fromCharCode(random(256)));
  switch (random(11)) {
    case 0:
      return put(byte(), 1);
    case 1:
      return put(byte());
    case 2:
      return put('', 1 + random(3));
    case 3:
      return put(splices[random(splices.length)]);
    case 4:
    case 5: {
      // At the start of a line, where most of them mean something.
      const lines = [...text.matchAll(/\n/g)].map((match) => match.index + 1);
      return lines.length ? put(splices[random(splices.length)], 0, lines[random(lines.length)]) : put('\r\n');
    }
    case 6: {
      const lines = text.split('\r\n');
      lines.splice(random(lines.length + 1), 0, lines[random(lines.length)]);
      return lines.join('\r\n');
    }
    case 7: {
      const c = text.charCodeAt(at) ^ (1 << random(8));
      return Number.isNaN(c) ? text : put(String.fromCharCode(c & 255), 1);
    }
    case 8: {
      const from = random(text.length + 1);
      return put(text.slice(from, from + random(12)));
    }
    case 9: {
      const other = seeds[random(seeds.length)];
      return text.slice(0, at) + other.slice(random(other.length));
    }
    default: {
      const lines = text.split('\r\n');
      const i = random(lines.length);
      const j = random(lines.length);
      [lines[i], lines[j]] = [lines[j], lines[i]];
      return lines.join('\r\n');
    }
  }
}
