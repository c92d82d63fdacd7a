// Loaded into the page before its own scripts, and once more into its audio thread: records what the page takes from the
// microphone and what it plays, sample by sample, as `recorded`: pairs of blocks.
if (globalThis.registerProcessor) {
  const silence = new Float32Array(128)
  class Recorder extends AudioWorkletProcessor {
    process(inputs) {
      this.port.postMessage(inputs.map(([channel]) => (channel ?? silence).slice()))
      return true
    }
  }
  registerProcessor('recorder', Recorder)
} else {
  globalThis.recorded = []
  const connect = AudioNode.prototype.connect
  const addModule = AudioWorklet.prototype.addModule
  let microphone
  AudioWorklet.prototype.addModule = async function (...module) {
    await addModule.call(this, 'recorder.js')
    return addModule.call(this, ...module)
  }
  AudioNode.prototype.connect = function (target, ...rest) {
    if (this instanceof MediaStreamAudioSourceNode) microphone = this
    if (target instanceof AudioDestinationNode) {
      const recorder = new AudioWorkletNode(this.context, 'recorder', { numberOfInputs: 2 })
      recorder.port.onmessage = ({ data }) => globalThis.recorded.push(data)
      connect.call(microphone, recorder, 0, 0)
      connect.call(this, recorder, 0, 1)
      connect.call(recorder, target)
    }
    return connect.call(this, target, ...rest)
  }
}
