// node serve.js fauxqs|dynalite|pglite starts one of the servers on a free port of the
// loopback interface, prints its URL, and ends when its standard input does: so
// it does not outlive a test that is killed.
import { createRequire } from 'node:module';

const host = '127.0.0.1';

const servers = {
  // The program of fauxqs listens on all interfaces.
  async fauxqs() {
    const { buildApp } = await import('fauxqs');
    return buildApp({ logger: false }).listen({ port: 0, host });
  },
  dynalite() {
    const dynalite = createRequire(import.meta.url)('dynalite');
    const server = dynalite({ createTableMs: 0, deleteTableMs: 0, updateTableMs: 0 });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, host, () => resolve(`http://${host}:${server.address().port}`));
    });
  },
  // PostgreSQL as WebAssembly. All connections share one backend, so prepared
  // statements must not have names: default_query_exec_mode=exec.
  async pglite() {
    const { PGlite } = await import('@electric-sql/pglite');
    const { vector } = await import('@electric-sql/pglite-pgvector');
    const { PGLiteSocketServer } = await import('@electric-sql/pglite-socket');
    const db = await PGlite.create({ extensions: { vector } });
    const server = new PGLiteSocketServer({ db, host, port: 0, maxConnections: 10 });
    await server.start();
    return `postgres://postgres:postgres@${server.getServerConn()}/postgres?sslmode=disable&pool_max_conns=4&default_query_exec_mode=exec`;
  },
};

// dynalite throws where a client is killed in the middle of a request.
process.on('uncaughtException', (error) => {
  if (error.code !== 'ECONNRESET') {
    console.error(error);
    process.exit(1);
  }
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
process.stdin.on('error', () => process.exit(0));
console.log(await servers[process.argv[2]]());
