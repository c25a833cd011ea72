// Counts down to the end of the session. Without JavaScript, the page shows the initial time.
const time = document.querySelector("[data-seconds]");
const end = performance.now() + Number(time.dataset.seconds) * 1000;

function show() {
  const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
  if (left === 0) {
    location.reload();
    return;
  }
  if (left < 3600) {
    time.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }
  setTimeout(show, 1000);
}

show();
