// One recording plays at a time; going over to another version of the same file goes on at the same moment.
for (const file of document.querySelectorAll(".file")) {
  const versions = [...file.querySelectorAll(".version")].map((version) => ({
    audio: version.querySelector("audio"),
    picture: version.querySelector(".picture"),
    head: version.querySelector(".picture i"),
  }));
  for (const { audio, picture, head } of versions) {
    const follow = () => {
      head.style.left = `${(100 * audio.currentTime) / audio.duration}%`;
      if (!audio.paused) requestAnimationFrame(follow);
    };
    audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) {
        if (other === audio || other.paused) continue;
        if (file.contains(other)) audio.currentTime = other.currentTime;
        other.pause();
      }
      head.style.opacity = 1;
      follow();
    });
    audio.addEventListener("seeked", follow);
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      for (const version of versions) version.audio.pause();
      audio.currentTime = ((event.clientX - box.left) / box.width) * audio.duration;
      audio.play();
    });
  }
}
