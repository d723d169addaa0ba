// node serve.js fauxqs|dynalite starts one of the servers on a free port of the
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
