// The same checks over the mock API: fast, and needs nothing but the built app.  node mocked.mjs [--shots folder]
import { PASSWORD } from '../../global/dashboard/mock/world.js';
import { serve } from './mock-server.mjs';
import { pages } from './pages.mjs';
import { federation, run } from './run.mjs';
import { steps } from './steps.mjs';

const at = process.argv.indexOf('--shots');
const server = await serve();
const description = {
  global: { url: server.url },
  regions: server.api.world.regions.map(({ slug, url }) => ({ slug, url })),
  accounts: ['ada@acme.example', 'ben@globex.example', 'eli@provider.example'].map((email) => {
    const { memberships, system = [] } = server.api.world.accounts.find((account) => account.email === email);
    const [{ tenant, roles, regions } = { roles: [], regions: [] }] = memberships;
    return { email, password: PASSWORD, tenant: tenant?.slug, roles: [...roles, ...system], regions };
  }),
};
process.exitCode = await run(federation(JSON.stringify(description)), {
  shots: at < 0 ? undefined : process.argv[at + 1],
  more: async (tools) => {
    await steps(server.api)(tools);
    await pages(server.api)(tools);
  },
});
await server.close();
