// Hands the view that Python knows to the canvas that shows this trace. It is a component of its own because a component
// is sent whole when its data change: the canvas's half a megabyte stays in the browser while these few words come anew.

export default function ({ data }) {
  window.rtdetrSamplingViews = { [data.id]: data.view }
  document.dispatchEvent(new CustomEvent("rtdetr-sampling-view"))
}
