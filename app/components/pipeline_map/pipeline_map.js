export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const list = parentElement.querySelector("ol")
  const focused = parentElement.activeElement?.dataset?.slug ?? list.getRootNode().activeElement?.dataset?.slug
  list.replaceChildren(...data.stages.map((stage, index) => {
    const item = document.createElement("li")
    if (stage.link) item.dataset[stage.link] = ""
    const link = document.createElement("a")
    link.href = stage.href
    link.dataset.slug = stage.slug
    link.title = stage.hint
    if (stage.slug === data.current) link.setAttribute("aria-current", "page")
    const number = document.createElement("span")
    number.className = "number"
    number.textContent = index + 1
    const name = document.createElement("span")
    name.textContent = stage.title
    link.append(number, name)
    link.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return
      event.preventDefault()
      if (stage.slug !== data.current) setTriggerValue(stage.slug, true)
    }
    const bar = document.createElement("div")
    bar.className = "bar"
    bar.hidden = !stage.percent
    const fill = document.createElement("div")
    fill.style.width = `${100 * stage.share}%`
    bar.append(fill)
    const percent = document.createElement("span")
    percent.className = "percent"
    percent.textContent = stage.percent
    const note = document.createElement("small")
    const what = document.createElement("span")
    what.className = "what"
    what.textContent = stage.what
    note.append(stage.shape, what.textContent ? document.createElement("br") : "", what)
    item.append(link, bar, percent, note)
    return item
  }))
  if (focused) list.querySelector(`[data-slug="${focused}"]`)?.focus()
}
