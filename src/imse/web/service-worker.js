// Keeps the page for use without a network. With one, its files are asked for anew: versions are never mixed.

const CACHE = 'imse'
const FILES = [
  './', 'containers.js', 'decode.js', 'dishes.flac', 'engine.js', 'icon.svg', 'imse.wasm', 'live-panel.js',
  'live-worker.js', 'live-worklet.js', 'live.js', 'manifest.webmanifest', 'packets.js', 'page.css', 'page.js', 'player.js',
  'pool.js', 'recorder.js', 'recording.js', 'settings.js', 'spectrogram.js', 'view.js', 'wav.js',
  'weights/NOTICE.txt', 'weights/default.safetensors', 'weights/small.safetensors', 'worker.js',
]

self.addEventListener('install', (event) => {
  self.skipWaiting()
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)))
})

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.method === 'GET' && request.url.startsWith(self.registration.scope)) event.respondWith(answer(request))
})

async function answer(request) {
  const cache = await caches.open(CACHE)
  try {
    const response = await fetch(request)
    if (response.ok) await cache.put(request, response.clone())
    return response
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true })
    if (kept) return kept
    throw error
  }
}
