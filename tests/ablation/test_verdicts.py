..........                                                               [100%]
10 passed, 33 deselected in 10.41s
