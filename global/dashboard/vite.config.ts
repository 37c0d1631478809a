import tailwind from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const api = process.env.EXARCH_GLOBAL ?? 'http://localhost:8440';

export default defineConfig({
  plugins: [react(), tailwind()],
  build: {
    assetsInlineLimit: 0, // no data: URIs, so that default-src 'self' is enough
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // React and the router change rarely: a file of their own stays in the browser's cache over upgrades.
      output: { manualChunks: (id) => (id.includes('/node_modules/') ? 'vendor' : undefined) },
    },
  },
  server: { proxy: { '/v1': api, '/oauth2': api } },
  test: { environment: 'jsdom', include: ['tests/**/*.test.{ts,tsx}'], setupFiles: ['tests/setup.ts'], testTimeout: 40_000 },
});
