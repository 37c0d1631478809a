// The built app over the in-memory API, with the headers of the real server: what the browser tests use while they test
// the app and not the server. Listens on a free port of the loopback and nowhere else.
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { mockApi } from '../../global/dashboard/mock/api.js';

const DIST = fileURLToPath(new URL('../../global/dashboard/dist/', import.meta.url));

const HEADERS = {
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy':
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
  'referrer-policy': 'no-referrer',
};

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** Serves until `close()`. `api` may be given to reach into its world. */
export async function serve({ port = 0, api = mockApi() } = {}) {
  const server = createServer((request, response) => {
    answer(api, request, response).catch((error) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://localhost:${server.address().port}`,
    api,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

async function answer(api, request, response) {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  const url = new URL(request.url, `http://${request.headers.host}`);
  if (url.pathname.startsWith('/v1/')) return viaApi(api, url, request, response);

  // A path of the app that is not a file of its own is the app: its router takes it from there.
  const path = normalize(url.pathname);
  const file = await isFile(join(DIST, path)) ? join(DIST, path) : extname(path) ? undefined : join(DIST, 'index.html');
  if (!file) return response.writeHead(404).end();
  const forever = path.startsWith('/assets/');
  response.setHeader('cache-control', forever ? 'public, max-age=31536000, immutable' : 'no-cache');
  response.setHeader('content-type', TYPES[extname(file)] ?? 'application/octet-stream');
  response.end(await readFile(file));
}

async function viaApi(api, url, incoming, response) {
  const unsafe = !['GET', 'HEAD'].includes(incoming.method);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const answered = await api.handle(
    new Request(url, {
      signal: gone.signal,
      method: incoming.method,
      headers: Object.entries(incoming.headers).flatMap(([name, value]) => [value].flat().map((each) => [name, each])),
      ...(unsafe && { body: Readable.toWeb(incoming), duplex: 'half' }),
    }),
  );
  for (const [name, value] of answered.headers) response.appendHeader(name, value);
  response.writeHead(answered.status);
  if (!answered.body) return response.end();
  // A list that is watched ends when its reader goes.
  await pipeline(Readable.fromWeb(answered.body), response).catch((error) => {
    if (!gone.signal.aborted) throw error;
  });
}

const isFile = (path) => stat(path).then((found) => found.isFile(), () => false);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await serve({ port: Number(process.argv[2] ?? 8440) });
  console.log(`the dashboard over the mock API: ${url}`);
}
