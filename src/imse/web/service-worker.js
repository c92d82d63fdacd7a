// Keeps the page for use without a network. With one, its files are asked for anew, past what the browser keeps of them for
// a while: a new version is there with the next visit.

const CACHE = 'imse'
const FILES = [
  './', 'containers.js', 'decode.js', 'dishes.flac', 'engine.js', 'icon.svg', 'imse.wasm', 'index.html', 'live-panel.js',
  'live-worker.js', 'live-worklet.js', 'live.js', 'manifest.webmanifest', 'packets.js', 'page.css', 'page.js', 'player.js',
  'pool.js', 'recorder.js', 'recording.js', 'settings.js', 'spectrogram.js', 'view.js', 'wav.js',
  'weights/NOTICE.txt', 'weights/default.safetensors', 'weights/small.safetensors', 'worker.js',
]

const addresses = new Set(FILES.map((name) => new URL(name, self.registration.scope).href))
const withoutQuery = (url) => url.replace(/[?#].*/, '')

self.addEventListener('install', (event) => {
  self.skipWaiting()
  const requests = FILES.map((name) => new Request(name, { cache: 'no-cache' }))
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)))
})

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

// Other pages may be in the same folder of a host.
self.addEventListener('fetch', (event) => {
  const { request } = event
  if (request.method === 'GET' && addresses.has(withoutQuery(request.url))) event.respondWith(answer(event))
})

async function answer(event) {
  const { request } = event
  let response
  try {
    response = await fetch(request, { cache: 'no-cache' })
  } catch (error) {
    const kept = await caches.match(request, { cacheName: CACHE, ignoreSearch: true })
    if (kept) return kept
    throw error
  }
  if (response.ok) event.waitUntil(keep(request, response.clone()))
  return response
}

async function keep(request, response) {
  try {
    await (await caches.open(CACHE)).put(withoutQuery(request.url), response)
  } catch {
    // No room: the page works, and the version that was kept stays.
  }
}
