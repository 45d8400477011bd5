"""How good a finished video is: figures of the file itself, without any truth beside it.

`watching` goes through the output frames once and keeps a few numbers of each; `measures` turns
these into figures of the whole video or of a part; `catalogue` says what every figure means.
Everything rests on where the face is and how it moves, so it holds for drawn faces as well.
"""
